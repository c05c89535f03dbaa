# Zig's C++ compiler for another system; the toolchain files beside this one set zig_target and
# CMAKE_SYSTEM_NAME. The `zig` command is that of PyPI's ziglang wheel, or any on the path.
find_program(ZIG zig PATHS ENV ZIG_FOLDER REQUIRED)
set(CMAKE_CXX_COMPILER ${ZIG} c++ -target ${zig_target})
set(GPT2EDGE_ZIG ON)
# Zig builds its C++ library anew for each set of flags that something is linked with: CMake's checks
# compile only, and what it links to know the compiler is stripped, too.
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
# It keeps what it has compiled; another cache would only see that it does not know this compiler.
set(CMAKE_CXX_COMPILER_LAUNCHER "" CACHE STRING "")
# Tools that CMake calls without arguments of its own.
foreach(tool ar ranlib)
  set(wrapper ${CMAKE_BINARY_DIR}/zig-${tool})
  file(WRITE ${wrapper} "#!/bin/sh\nexec '${ZIG}' ${tool} \"$@\"\n")
  file(CHMOD ${wrapper} PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE)
  string(TOUPPER ${tool} name)
  set(CMAKE_${name} ${wrapper})
endforeach()
# CMake looks for this tool of macOS, and then does not need it: no file here has a path to change.
find_program(CMAKE_INSTALL_NAME_TOOL false)
# Zig adds tables for debuggers otherwise, ten times what the code takes.
set(CMAKE_CXX_FLAGS_INIT "-g0 -s")
