# Fails when objects compiled for an instruction set define code that the linker may share with the rest of the
# program: weak symbols outside the set's own namespace. cmake -DNM= -DISA= -DOBJECTS=a;b -P isolated.cmake
string(LENGTH ${ISA} length)
foreach(object IN LISTS OBJECTS)
  execute_process(COMMAND ${NM} ${object} OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "[0-9a-f]+ [WVu] [^\n]+" weak "${symbols}")
  foreach(symbol IN LISTS weak)
    if(NOT symbol MATCHES "6medlar7kernels${length}${ISA}|DW\\.ref")
      message(SEND_ERROR "${object}: ${symbol} may be linked into code for other processors")
    endif()
  endforeach()
endforeach()
