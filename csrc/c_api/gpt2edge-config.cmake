# Found by find_package(gpt2edge): the targets gpt2edge::gpt2edge, and gpt2edge::static where it is
# installed.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
include(${CMAKE_CURRENT_LIST_DIR}/gpt2edge-targets.cmake)
