// The bodies of Boost.Asio's and Boost.Beast's functions, compiled once (BOOST_ASIO_SEPARATE_COMPILATION and its Beast
// twin are set for the whole library).
#include <boost/asio/impl/src.hpp>
#include <boost/beast/src.hpp>
