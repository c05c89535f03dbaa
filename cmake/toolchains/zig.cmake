# Zig's C++ compiler for another system; the toolchain files beside this one set zig_target and
# CMAKE_SYSTEM_NAME. The `zig` command is that of PyPI's ziglang wheel, or any on the path.
find_program(ZIG zig PATHS ENV ZIG_FOLDER REQUIRED)
set(CMAKE_CXX_COMPILER ${ZIG} c++ -target ${zig_target})
set(GPT2EDGE_ZIG ON)
# Tools that CMake calls without arguments of its own.
foreach(tool ar ranlib)
  set(wrapper ${CMAKE_BINARY_DIR}/zig-${tool})
  file(WRITE ${wrapper} "#!/bin/sh\nexec '${ZIG}' ${tool} \"$@\"\n")
  file(CHMOD ${wrapper} PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE)
  string(TOUPPER ${tool} name)
  set(CMAKE_${name} ${wrapper})
endforeach()
# Zig adds tables for debuggers otherwise, ten times what the code takes.
set(CMAKE_CXX_FLAGS_INIT -g0)
set(CMAKE_EXE_LINKER_FLAGS_INIT -s)
set(CMAKE_SHARED_LINKER_FLAGS_INIT -s)
