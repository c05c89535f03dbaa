#include "compress/compressed_file.h"

#include "base/error.h"
#include "formats/byte_writer.h"
#include "formats/crc32c.h"
#include "formats/gguf_cursor.h"

namespace gpt2edge {
namespace {

constexpr std::string_view kMagic = "\x89p2z";
constexpr uint8_t kVersion = 1;
constexpr size_t kBlockHead = 3 * sizeof(uint32_t);
constexpr size_t kLeastSize =
    kMagic.size() + sizeof kVersion + sizeof(uint64_t) + 3 * sizeof(uint32_t);

void check_start(const Cursor& in, std::string_view bytes) {
  if (!bytes.starts_with(kMagic)) {
    in.fail("is nothing that pygpt2edge compress made: other bytes are where its files begin");
  }
  if (bytes.size() > kMagic.size() && static_cast<uint8_t>(bytes[kMagic.size()]) != kVersion) {
    in.fail_unsupported(message("has version ", int{static_cast<uint8_t>(bytes[kMagic.size()])},
                                " of the format, and this program knows version ", int{kVersion},
                                ": take a later one"));
  }
  const size_t n_checked = bytes.size() - sizeof(uint32_t);
  if (bytes.size() < kLeastSize ||
      text_checksum(bytes.substr(0, n_checked)) !=
          load<uint32_t>(reinterpret_cast<const std::byte*>(bytes.data()) + n_checked)) {
    in.fail("its checksum is wrong: it is damaged or cut short");
  }
}

CompressedFile::Block read_head(Cursor& in, size_t& n_code) {
  CompressedFile::Block block{};
  block.n_text = in.read<uint32_t>("the length of a block's text");
  n_code = in.read<uint32_t>("the length of a block's code");
  block.checksum = in.read<uint32_t>("the checksum of a block");
  if (block.n_text < CompressedFile::kLeastBlock || block.n_text > CompressedFile::kMostBlock ||
      n_code > block.n_text) {
    in.fail(message("has a block of ", block.n_text, " bytes with a code of ", n_code,
                    ", expected 1 to ", CompressedFile::kMostBlock, " and no longer code"));
  }
  return block;
}

}  // namespace

uint32_t text_checksum(std::string_view text, uint32_t before) {
  return crc32c(before, reinterpret_cast<const uint8_t*>(text.data()), text.size());
}

uint64_t CompressedFile::n_text() const {
  uint64_t n = 0;
  for (const Block& block : blocks) n += block.n_text;
  return n;
}

std::string CompressedFile::bytes() const {
  ByteWriter head;
  head.add(kVersion);
  head.add(fingerprint);
  head.add(n_ctx);
  head.add(static_cast<uint32_t>(blocks.size()));
  for (const Block& block : blocks) {
    head.add(block.n_text);
    head.add(static_cast<uint32_t>(block.code.size()));
    head.add(block.checksum);
  }
  std::string out(kMagic);
  out += as_text(head.bytes());
  for (const Block& block : blocks) out += as_text(block.code);
  ByteWriter end;
  end.add(text_checksum(out));
  return out.append(as_text(end.bytes()));
}

CompressedFile CompressedFile::read(const std::string& name, std::span<const std::byte> bytes) {
  const Cursor all(name, bytes);
  check_start(all, as_text(bytes));
  Cursor in(name, bytes.first(bytes.size() - sizeof(uint32_t)));
  in.take(kMagic.size() + sizeof kVersion, "its beginning");
  CompressedFile file;
  file.fingerprint = in.read<uint64_t>("the model's fingerprint");
  file.n_ctx = in.read<int32_t>("the positions of contexts");
  const auto n_blocks = in.read<uint32_t>("the number of blocks");
  in.check_count(n_blocks, kBlockHead, "the number of blocks");
  std::vector<size_t> lengths(n_blocks);
  for (size_t& n_code : lengths) file.blocks.push_back(read_head(in, n_code));
  for (size_t i = 0; i < n_blocks; ++i) {
    file.blocks[i].code = {in.take(lengths[i], "the code of a block"), lengths[i]};
  }
  if (in.remaining() > 0) in.fail("has more bytes than its blocks: it is damaged");
  return file;
}

}  // namespace gpt2edge
