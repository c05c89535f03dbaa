# Android 7 and later on 64-bit Arm, by the NDK in the folder $ANDROID_NDK.
set(ANDROID_ABI arm64-v8a)
set(ANDROID_PLATFORM android-24)
set(ANDROID_STL c++_static)
include($ENV{ANDROID_NDK}/build/cmake/android.toolchain.cmake)
