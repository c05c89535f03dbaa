# Writes pygpt2edge.cdx.json, a bill of materials in CycloneDX's format: what is compiled into a wheel or
# lies in it, apart from the project's own code.
file(STRINGS ${PROJECT_SOURCE_DIR}/csrc/tokenize/unicode_tables.h unicode_version REGEX "from Unicode ")
string(REGEX MATCH "[0-9]+\\.[0-9]+\\.[0-9]+" unicode_version "${unicode_version}")
file(SHA256 ${PROJECT_SOURCE_DIR}/pygpt2edge/data/demo.gguf demo_sha256)
configure_file(${CMAKE_CURRENT_LIST_DIR}/sbom.cdx.json.in ${PROJECT_BINARY_DIR}/pygpt2edge.cdx.json @ONLY)
