# How every target of the project is built: one library per folder of src/ with exactly the links that ARCHITECTURE.md allows,
# one test binary per folder of tests/.

add_library(qwen_options INTERFACE)
target_include_directories(qwen_options INTERFACE ${CMAKE_SOURCE_DIR}/src)
# -ffp-contract=off: the compiler may not fuse a*b+c in one instantiation and not in another; results would then depend on the
# number of rows in a batch. Kernels that want an FMA write it.
target_compile_options(qwen_options INTERFACE -Wall -Wextra -Wshadow -Wno-missing-field-initializers -ffp-contract=off)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  # GCC 12 sees overlapping copies in std::string's own code (GCC bug 105651).
  target_compile_options(qwen_options INTERFACE -Wno-restrict)
endif()
if(QWEN_WERROR)
  target_compile_options(qwen_options INTERFACE -Werror)
endif()
if(QWEN_SANITIZE)
  target_compile_options(qwen_options INTERFACE -fsanitize=${QWEN_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(qwen_options INTERFACE -fsanitize=${QWEN_SANITIZE})
endif()
find_package(Threads REQUIRED)
target_link_libraries(qwen_options INTERFACE Threads::Threads)

# What a distribution asks of a network service (dpkg-buildflags hardening=+all): for the libraries and the program. Not for the kernels of an
# instruction set, whose inner loops it could slow down, and not beside sanitizers, which look for the same and more.
add_library(qwen_hardening INTERFACE)
if(NOT QWEN_SANITIZE)
  # PIE is the compiler's default on Debian and Ubuntu. -O0 has no use for FORTIFY; a compiler that defines it by itself is told anew.
  target_compile_options(qwen_hardening INTERFACE -fstack-protector-strong -Wformat -Werror=format-security
    $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE> $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=2>)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    target_compile_options(qwen_hardening INTERFACE -fstack-clash-protection)
  endif()
  target_link_options(qwen_hardening INTERFACE -Wl,-z,relro,-z,now)
endif()

# qwen_library(name [DIR folder] [LINKS project-libraries…] [PRIVATE_LINKS third-party…])
# Takes every .cpp of the folder (not of sub-folders unless RECURSE).
function(qwen_library name)
  cmake_parse_arguments(ARG "RECURSE" "DIR" "LINKS;PRIVATE_LINKS;EXTRA_SOURCES" ${ARGN})
  if(NOT ARG_DIR)
    set(ARG_DIR ${name})
  endif()
  if(ARG_RECURSE)
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${ARG_DIR}/*.cpp)
  else()
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${ARG_DIR}/*.cpp)
  endif()
  list(APPEND sources ${ARG_EXTRA_SOURCES})
  list(TRANSFORM ARG_LINKS PREPEND qwen_)
  if(sources)
    add_library(qwen_${name} STATIC ${sources})
    target_link_libraries(qwen_${name} PUBLIC qwen_options ${ARG_LINKS} PRIVATE qwen_hardening ${ARG_PRIVATE_LINKS})
  else()
    add_library(qwen_${name} INTERFACE)
    target_link_libraries(qwen_${name} INTERFACE qwen_options ${ARG_LINKS} ${ARG_PRIVATE_LINKS})
  endif()
endfunction()

# qwen_test(folder LINKS project-libraries…): all tests/<folder>/*_test.cpp in one binary, each test known to ctest under label `unit`.
function(qwen_test folder)
  cmake_parse_arguments(ARG "" "" "LINKS;PRIVATE_LINKS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*_test.cpp)
  if(NOT sources)
    return()
  endif()
  list(TRANSFORM ARG_LINKS PREPEND qwen_)
  add_executable(test_${folder} ${sources})
  target_link_libraries(test_${folder} PRIVATE ${ARG_LINKS} qwen_test_support GTest::gtest_main GTest::gmock ${ARG_PRIVATE_LINKS})
  gtest_discover_tests(test_${folder} DISCOVERY_MODE PRE_TEST PROPERTIES LABELS unit TIMEOUT 300)
endfunction()
