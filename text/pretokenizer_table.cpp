// The list of pre-tokenizers. A pattern is a fact about the model that was trained with it, as its publisher
// gives it.
#include <algorithm>
#include <array>

#include "base/error.h"
#include "text/pretokenizer.h"

namespace medlar::text {
namespace {

using enum SplitStep::Kind;

constexpr SplitStep kDigit{pattern, R"(\p{N})"};
constexpr SplitStep kDigits{pattern, R"(\p{N}+)"};
constexpr SplitStep kUpToThreeDigits{pattern, R"(\p{N}{1,3})"};
constexpr SplitStep kThreeAsciiDigits{pattern, R"([0-9][0-9][0-9])"};
constexpr SplitStep kNewline{pattern, R"([\r\n])"};
constexpr SplitStep kLines{pattern, R"([^\n]+|\n+)"};

constexpr SplitStep kGpt2Words{pattern,
                               R"('(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)"};

// OpenAI's cl100k and its descendants, which differ in how many digits make a word.
constexpr SplitStep kLlama3Words{
    pattern,
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"};
constexpr SplitStep kQwen2Words{
    pattern,
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"};
constexpr SplitStep kMiniCpm5Words{
    pattern,
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"};
constexpr SplitStep kUfakzekaWords{
    pattern, R"([^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"};
constexpr SplitStep kQwen35Words{
    pattern,
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"};
constexpr SplitStep kSeedCoderWords{
    pattern,
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+)"};
constexpr SplitStep kBailingWords{
    pattern,
    R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)"};
constexpr SplitStep kJais2Words{
    pattern,
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|)"
    R"(\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1})"};
// The published pattern repeats its group greedily; the group ends the alternative, so a possessive repeat
// matches the same and needs no memory.
constexpr SplitStep kExaoneMoeWords{
    pattern,
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*+(?: \p{L}\p{M}*+)*+)++|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+)"};

// OpenAI's o200k and its descendants: a word changes at a capital letter.
constexpr SplitStep kGpt4oWords{
    pattern,
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"};
constexpr SplitStep kTekkenWords{
    pattern, R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|)"
             R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|)"
             R"(\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"};
constexpr SplitStep kYoutuWords{
    pattern,
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"(\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"};
// Published with class intersections, "letters and marks that are not Han"; written here as what is left out.
constexpr SplitStep kKimiWords{
    pattern,
    R"(\p{sc:Han}+|)"
    R"([^\r\n\p{L}\p{N}]?[^\p{N}\p{P}\p{S}\p{Z}\p{C}\p{Ll}\p{sc:Han}]*[^\p{N}\p{P}\p{S}\p{Z}\p{C}\p{Lu}\p{Lt}\p{sc:Han}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\r\n\p{L}\p{N}]?[^\p{N}\p{P}\p{S}\p{Z}\p{C}\p{Ll}\p{sc:Han}]+[^\p{N}\p{P}\p{S}\p{Z}\p{C}\p{Lu}\p{Lt}\p{sc:Han}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"};

// DeepSeek V3 and its descendants.
constexpr SplitStep kHanAndKana{pattern, R"([\x{4E00}-\x{9FA5}\x{3040}-\x{309F}\x{30A0}-\x{30FF}]+)"};
constexpr SplitStep kDeepseek3Words{
    pattern,
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"};
constexpr SplitStep kSparkWords{
    pattern,
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+|[\r\n]|\s+(?!\S)|\s+)"};
constexpr SplitStep kAsianScripts{
    pattern,
    R"([\x{4E00}-\x{9FFF}\x{3400}-\x{4DBF}\x{F900}-\x{FAFF}\x{3040}-\x{309F}\x{30A0}-\x{30FF}\x{FF65}-\x{FF9F})"
    R"(\x{2F00}-\x{2FDF}\x{E40}-\x{E7F}\x{E80}-\x{EFF}\x{1780}-\x{17FF}\x{1000}-\x{109F}\x{AA60}-\x{AA7F})"
    R"(\x{A9E0}-\x{A9FF}\x{AC00}-\x{D7AF}\x{1100}-\x{11FF}]+)"};
constexpr SplitStep kYoutuScripts{
    pattern,
    R"([\x{AC00}-\x{D7A3}\x{3131}-\x{318E}]+|)"
    R"([\x{FF01}\x{2026}\x{201C}\x{201D}\x{2018}\x{2019}\x{2014}\x{FF1A}\x{FF1B}\x{FF0C}\x{3001}-\x{303F}\x{FE30}-\x{FE4F}]+|)"
    R"([\x{3105}-\x{312F}]+|[\x{4E00}-\x{9FA5}\x{3040}-\x{309F}\x{30A0}-\x{30FF}]+)"};

// DeepSeek's first models. The letters are the cased ones of the Unicode version of that time.
constexpr SplitStep kCasedWords{
    pattern,
    R"(\s?[A-Za-z\x{B5}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{1BA}\x{1BC}-\x{1BF}\x{1C4}-\x{293}\x{295}-\x{2AF})"
    R"(\x{370}-\x{373}\x{376}\x{377}\x{37B}-\x{37D}\x{37F}\x{386}\x{388}-\x{38A}\x{38C}\x{38E}-\x{3A1}\x{3A3}-\x{3F5})"
    R"(\x{3F7}-\x{481}\x{48A}-\x{52F}\x{531}-\x{556}\x{10A0}-\x{10C5}\x{13A0}-\x{13F5}\x{13F8}-\x{13FD})"
    R"(\x{1C90}-\x{1CBA}\x{1CBD}-\x{1CBF}\x{1D00}-\x{1D2B}\x{1D6B}-\x{1D77}\x{1D79}-\x{1D9A}\x{1E00}-\x{1F15})"
    R"(\x{1F18}-\x{1F1D}\x{1F20}-\x{1F45}\x{1F48}-\x{1F4D}\x{1F50}-\x{1F57}\x{1F59}\x{1F5B}\x{1F5D}\x{1F5F}-\x{1F7D})"
    R"(\x{1F80}-\x{1FB4}\x{1FB6}-\x{1FBC}\x{1FBE}\x{1FC2}-\x{1FC4}\x{1FC6}-\x{1FCC}\x{1FD0}-\x{1FD3}\x{1FD6}-\x{1FDB})"
    R"(\x{1FE0}-\x{1FEC}\x{1FF2}-\x{1FF4}\x{1FF6}-\x{1FFC}\x{2102}\x{2107}\x{210A}-\x{2113}\x{2115}\x{2119}-\x{211D})"
    R"(\x{2124}\x{2126}\x{2128}\x{212A}-\x{212D}\x{212F}-\x{2134}\x{2139}\x{213C}-\x{213F}\x{2145}-\x{2149}\x{214E})"
    R"(\x{2183}\x{2184}\x{2C00}-\x{2C7B}\x{2C7E}-\x{2CE4}\x{2CEB}-\x{2CEE}\x{2CF2}\x{2CF3}\x{A640}-\x{A66D})"
    R"(\x{A680}-\x{A69B}\x{A722}-\x{A76F}\x{A771}-\x{A787}\x{A78B}-\x{A78E}\x{AB70}-\x{ABBF}\x{FB00}-\x{FB06})"
    R"(\x{FB13}-\x{FB17}\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A}\x{10400}-\x{1044F}\x{104B0}-\x{104D3}\x{104D8}-\x{104FB})"
    R"(\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2}\x{118A0}-\x{118DF}\x{1E900}-\x{1E943}]+)"};
constexpr SplitStep kSomePunctuation{
    pattern, R"(\s?[!-/:-~\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF5E}\x{2018}-\x{201F}\x{3000}-\x{3002}]+)"};
// Published as \s+$; the look-behind keeps a long run from being tried at each of its characters.
constexpr SplitStep kTrailingSpace{pattern, R"((?<!\s)\s++\z)"};
constexpr SplitStep kEastAsian{pattern, R"([\x{4E00}-\x{9FA5}\x{800}-\x{4E00}\x{AC00}-\x{D7FF}]+)"};
constexpr SplitStep kLetters{pattern, R"(\s?\p{L}+)"};
constexpr SplitStep kPunctuation{pattern, R"(\s?\p{P}+)"};

constexpr SplitStep kFalconPunctuation{pattern, R"([\p{P}\$\+<=>\^~\|`]+)"};
constexpr SplitStep kDefaultPunctuation{pattern, R"([\p{P}\$\+<=>\^~\|]+)"};
constexpr SplitStep kBloomWords{pattern,
                                R"( ?[^(\s|.,!?\x{2026}\x{3002}\x{FF0C}\x{3001}\x{964}\x{6D4}\x{60C})]+)"};
constexpr SplitStep kSentinels{pattern, R"(<sentinel:[0-9]+>)"};
constexpr SplitStep kImageTokens{pattern, R"(IMGIMG[A-I]{1,4}Z)"};
constexpr SplitStep kIndents{pattern, R"([\t\n]|    |  )"};
constexpr SplitStep kOnePunctuation{pattern, R"([\p{P}!-/:-@\[-`{-~])"};

constexpr std::array kDefault{kDefaultPunctuation, kGpt2Words, kDigits, kThreeAsciiDigits};
constexpr std::array kGpt2{kGpt2Words};
constexpr std::array kDigitGpt2{kDigit, kGpt2Words};
constexpr std::array kFalcon{kFalconPunctuation, kGpt2Words, kThreeAsciiDigits};
constexpr std::array kLlama3{kLlama3Words};
constexpr std::array kJais2{kJais2Words};
constexpr std::array kQwen2{kQwen2Words};
constexpr std::array kQwen35{kQwen35Words};
constexpr std::array kMiniCpm5{kUpToThreeDigits, kMiniCpm5Words};
constexpr std::array kUfakzeka{kUfakzekaWords};
constexpr std::array kLaguna{kLines, kQwen2Words};
constexpr std::array kSeedCoder{kSeedCoderWords};
constexpr std::array kBailing{kBailingWords};
constexpr std::array kExaoneMoe{kExaoneMoeWords};
constexpr std::array kGpt4o{kGpt4oWords};
constexpr std::array kTekken{kTekkenWords};
constexpr std::array kTinyAya{SplitStep{word_triples, {}}, kGpt4oWords};
constexpr std::array kYoutu{kYoutuScripts, kYoutuWords};
constexpr std::array kKimi{kKimiWords};
constexpr std::array kDeepseekLlm{kNewline,       kCasedWords, kSomePunctuation,
                                  kTrailingSpace, kEastAsian,  kDigit};
constexpr std::array kDeepseekCoder{kNewline, kLetters, kPunctuation, kEastAsian, kDigit};
constexpr std::array kDeepseek3{kUpToThreeDigits, kHanAndKana, kDeepseek3Words};
constexpr std::array kSpark{kUpToThreeDigits, kHanAndKana, kSparkWords, kDigit};
constexpr std::array kAfmoe{kDigits, SplitStep{triples, {}}, kAsianScripts, kDeepseek3Words};
constexpr std::array kSuperBpe{kDigits, SplitStep{triples, {}}};
constexpr std::array kBloom{kBloomWords};
constexpr std::array kViking{kBloomWords, kDigit};
constexpr std::array kChameleon{kSentinels, kImageTokens, kIndents, kDigit, kOnePunctuation, kGpt2Words};

constexpr PreTokenizerRules kRules[] = {
    {.name = "default", .steps = kDefault},
    {.name = "gpt-2", .steps = kGpt2},
    {.name = "phi-2", .steps = kGpt2},
    {.name = "mpt", .steps = kGpt2},
    {.name = "olmo", .steps = kGpt2},
    {.name = "jais", .steps = kGpt2},
    {.name = "trillion", .steps = kGpt2},
    {.name = "granite-docling", .steps = kGpt2},
    {.name = "exaone4", .steps = kGpt2},
    {.name = "gigachat", .steps = kGpt2},
    {.name = "a.x-4.0", .steps = kGpt2},
    {.name = "mellum", .steps = kGpt2},
    {.name = "modern-bert", .steps = kGpt2},
    {.name = "roberta-bpe", .steps = kGpt2, .add_sep = true},
    {.name = "jina-v1-en", .steps = kGpt2, .add_sep = true},
    {.name = "jina-v2-code", .steps = kGpt2, .add_sep = true},
    {.name = "jina-v2-es", .steps = kGpt2},
    {.name = "jina-v2-de", .steps = kGpt2},
    {.name = "jina-es", .steps = kGpt2},
    {.name = "jina-de", .steps = kGpt2},
    {.name = "smollm", .steps = kDigitGpt2},
    {.name = "starcoder", .steps = kDigitGpt2},
    {.name = "refact", .steps = kDigitGpt2},
    {.name = "command-r", .steps = kDigitGpt2},
    {.name = "codeshell", .steps = kDigitGpt2},
    {.name = "exaone", .steps = kDigitGpt2},
    {.name = "minerva-7b", .steps = kDigitGpt2},
    {.name = "mellum2", .steps = kDigitGpt2},
    {.name = "falcon", .steps = kFalcon},
    {.name = "llama3", .steps = kLlama3, .whole_words = true, .add_bos = true},
    {.name = "llama-v3", .steps = kLlama3, .whole_words = true, .add_bos = true},
    {.name = "llama-bpe", .steps = kLlama3, .whole_words = true, .add_bos = true},
    {.name = "falcon3", .steps = kLlama3, .whole_words = true, .add_bos = true},
    {.name = "falcon-h1", .steps = kLlama3, .whole_words = true, .add_bos = true},
    {.name = "pixtral", .steps = kLlama3, .whole_words = true, .add_bos = true},
    {.name = "midm-2.0", .steps = kLlama3, .whole_words = true, .add_bos = true},
    {.name = "lfm2", .steps = kLlama3, .whole_words = true, .add_bos = true},
    {.name = "jina-v5-nano", .steps = kLlama3, .whole_words = true, .add_bos = true},
    {.name = "dbrx", .steps = kLlama3},
    {.name = "smaug-bpe", .steps = kLlama3},
    {.name = "glm4", .steps = kLlama3},
    {.name = "chatglm-bpe", .steps = kLlama3},
    {.name = "jais-2", .steps = kJais2},
    {.name = "qwen2", .steps = kQwen2},
    {.name = "deepseek-r1-qwen", .steps = kQwen2},
    {.name = "kormo", .steps = kQwen2},
    {.name = "f2llmv2", .steps = kQwen2},
    {.name = "megrez", .steps = kQwen2},
    {.name = "stablelm2", .steps = kQwen2},
    {.name = "hunyuan", .steps = kQwen2},
    {.name = "solar-open", .steps = kQwen2},
    {.name = "grok-2", .steps = kQwen2},
    {.name = "qwen35", .steps = kQwen35},
    {.name = "minicpm5", .steps = kMiniCpm5, .whole_words = true},
    {.name = "ufakzeka", .steps = kUfakzeka},
    {.name = "laguna", .steps = kLaguna},
    {.name = "seed-coder", .steps = kSeedCoder},
    {.name = "bailingmoe", .steps = kBailing},
    {.name = "bailingmoe2", .steps = kBailing},
    {.name = "llada-moe", .steps = kBailing},
    {.name = "exaone-moe", .steps = kExaoneMoe},
    {.name = "gpt-4o", .steps = kGpt4o},
    {.name = "llama4", .steps = kGpt4o},
    {.name = "kanana2", .steps = kGpt4o},
    {.name = "talkie", .steps = kGpt4o},
    {.name = "minimax-m2", .steps = kGpt4o},
    {.name = "granite-embed-multi-97m", .steps = kGpt4o, .whole_words = true},
    {.name = "tekken", .steps = kTekken, .whole_words = true, .add_bos = true},
    {.name = "tiny_aya", .steps = kTinyAya},
    {.name = "cohere2moe", .steps = kTinyAya},
    {.name = "youtu", .steps = kYoutu, .whole_words = true},
    {.name = "kimi-k2", .steps = kKimi},
    {.name = "deepseek-llm", .steps = kDeepseekLlm},
    {.name = "deepseek-coder", .steps = kDeepseekCoder},
    {.name = "deepseek-v3", .steps = kDeepseek3},
    {.name = "hunyuan-dense", .steps = kDeepseek3},
    {.name = "joyai-llm", .steps = kDeepseek3},
    {.name = "hy_v4", .steps = kDeepseek3},
    {.name = "spark2_5", .steps = kSpark},
    {.name = "afmoe", .steps = kAfmoe},
    {.name = "superbpe", .steps = kSuperBpe},
    {.name = "bloom", .steps = kBloom},
    {.name = "gpt3-finnish", .steps = kBloom},
    {.name = "poro-chat", .steps = kBloom},
    {.name = "viking", .steps = kViking},
    {.name = "chameleon", .steps = kChameleon, .add_bos = true},
    {.name = "gemma4", .add_bos = true, .characters = true},
    {.name = "granite-embed-multi-311m", .add_bos = true, .characters = true},
    {.name = "sarvam-moe", .characters = true},
};

}  // namespace

std::span<const PreTokenizerRules> pre_tokenizers() { return kRules; }

const PreTokenizerRules& pre_tokenizer_rules(std::string_view name) {
  const auto* found = std::ranges::find(kRules, name, &PreTokenizerRules::name);
  if (found != std::end(kRules)) return *found;
  throw Error(ErrorKind::unsupported,
              fmt::format("tokenizer.ggml.pre: no pre-tokenizer is known as '{}'", name),
              "a newer version may know it; another pre-tokenizer would give other tokens than the model was "
              "trained on");
}

}  // namespace medlar::text
