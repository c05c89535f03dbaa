# Programs for any Linux on 32-bit Arm: linked with musl.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR armv7)
set(zig_target arm-linux-musleabihf)
include(${CMAKE_CURRENT_LIST_DIR}/zig.cmake)
