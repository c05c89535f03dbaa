// The digests of test_equal_bits.cpp.
#pragma once

#include <cstdint>

#include "formats/ggml_blocks.h"

namespace gpt2edge::test {

struct ExpectedDigest {
  TensorType type;
  uint64_t digest;
};

constexpr ExpectedDigest kExpectedDigests[] = {
    {TensorType::F32, 0x940787FA5752A93E},     {TensorType::F16, 0x6F9D7D7BA837C845},
    {TensorType::BF16, 0xB32C35133E53A1DB},    {TensorType::Q8_0, 0x4675E3423F86435F},
    {TensorType::Q4_0, 0x91D55D53662824E7},    {TensorType::Q4_1, 0x303E76E19D6D64B9},
    {TensorType::Q5_0, 0xC0FFBEA05A05D132},    {TensorType::Q5_1, 0xE3BB8518B4B6918D},
    {TensorType::IQ4_NL, 0x78B7E74344080DFC},  {TensorType::Q2_K, 0xA20CBF590645B1ED},
    {TensorType::Q3_K, 0x4621A6E532BFBE98},    {TensorType::Q4_K, 0xA31D492604D6F0DD},
    {TensorType::Q5_K, 0x1CCFAD6C960DE7DC},    {TensorType::Q6_K, 0x295E4485F1D6AEFD},
    {TensorType::IQ1_S, 0xBF56CEE821C35E5E},   {TensorType::IQ1_M, 0x43D86B6C6D089306},
    {TensorType::IQ2_XXS, 0x9024FBE6BBF78A1F}, {TensorType::IQ2_XS, 0x5A194E1B4FFCE17D},
    {TensorType::IQ2_S, 0xA4761E4D369485FD},   {TensorType::IQ3_XXS, 0xEE4D1901C7930298},
    {TensorType::IQ3_S, 0x5A22B7F72EDA3B9E},   {TensorType::IQ4_XS, 0xC6C523E838D8A6EE},
    {TensorType::TQ1_0, 0xA0DAA76800E8FA2A},   {TensorType::TQ2_0, 0xBF5C331339100DD9},
    {TensorType::MXFP4, 0x1D28AF35C39FDDA8},   {TensorType::NVFP4, 0x30BA0C78CBE29615},
    {TensorType::Q1_0, 0x4CCD6DB5B2A098D6},    {TensorType::Q2_0, 0x94F67527133FB102},
};

}  // namespace gpt2edge::test
