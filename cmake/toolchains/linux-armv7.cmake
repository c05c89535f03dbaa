# Linux with glibc 2.28 or later, 32-bit Arm with NEON's registers.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR armv7)
set(zig_target arm-linux-gnueabihf.2.28)
include(${CMAKE_CURRENT_LIST_DIR}/zig.cmake)
