# medlar_room(NAME SOURCES ... [ROOMS ...] [LIBS ...])
# One static library per folder. ROOMS names the rooms it may include; scripts/check_includes.py reads the
# same line and fails on an include that points elsewhere.
function(medlar_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;ROOMS;LIBS" ${ARGN})
  set(target medlar_${name})
  if(ROOM_SOURCES)
    add_library(${target} STATIC ${ROOM_SOURCES})
    set(scope PUBLIC)
  else()
    add_library(${target} INTERFACE)
    set(scope INTERFACE)
  endif()
  add_library(medlar::${name} ALIAS ${target})
  target_include_directories(${target} ${scope} ${CMAKE_SOURCE_DIR})
  list(TRANSFORM ROOM_ROOMS PREPEND medlar::)
  target_link_libraries(${target} ${scope} ${ROOM_ROOMS} ${ROOM_LIBS})
endfunction()

# medlar_test(NAME SOURCES ... [ROOMS ...] [LIBS ...]): one GoogleTest binary, registered with ctest.
function(medlar_test name)
  cmake_parse_arguments(TEST "" "" "SOURCES;ROOMS;LIBS" ${ARGN})
  add_executable(test_${name} ${TEST_SOURCES})
  target_include_directories(test_${name} PRIVATE ${CMAKE_SOURCE_DIR})
  list(TRANSFORM TEST_ROOMS PREPEND medlar::)
  target_link_libraries(test_${name} PRIVATE ${TEST_ROOMS} ${TEST_LIBS} GTest::gtest GTest::gmock GTest::gtest_main)
  # One ctest entry per binary: GoogleTest's own closing lines and its list of skipped tests stay readable.
  add_test(NAME ${name} COMMAND test_${name} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
endfunction()
