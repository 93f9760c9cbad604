// The bodies of Boost.Asio's functions, compiled once (BOOST_ASIO_SEPARATE_COMPILATION is set for the whole library).
#include <boost/asio/impl/src.hpp>
#include <boost/asio/ssl/impl/src.hpp>
