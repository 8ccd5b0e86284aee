#include "tests/store/store_fixture.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <random>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checkpoint/gguf_writer.h"

extern char** environ;

namespace medlar::testing {
namespace {

namespace fs = std::filesystem;

std::vector<float> random_values(std::int64_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<float> out(static_cast<std::size_t>(count));
  for (float& x : out) x = static_cast<float>(random()) / 4e9F;
  return out;
}

std::string written(const std::function<void(gguf::Writer&)>& fill) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "m.gguf";
  gguf::Writer writer(path);
  fill(writer);
  writer.finish();
  return read_text(path);
}

}  // namespace

TemporaryFolder::TemporaryFolder(bool in_memory) {
  const bool memory = in_memory && ::access("/dev/shm", W_OK) == 0;
  std::string name =
      (fs::path(memory ? "/dev/shm" : fs::temp_directory_path()) / "medlar-store-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
  path_ = name;
  fs::permissions(path_, fs::perms::all);  // for Tool::Options::as_nobody
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string small_gguf(std::int64_t values, unsigned seed) {
  return written([&](gguf::Writer& writer) {
    writer.set("general.architecture", "llama");
    writer.add_tensor("token_embd.weight", DType::f32, {values});
    const std::vector<float> data = random_values(values, seed);
    writer.write(std::as_bytes(std::span(data)));
  });
}

std::vector<std::string> split_gguf(std::uint32_t parts) {
  std::vector<std::string> out;
  for (std::uint32_t part = 0; part < parts; ++part) {
    out.push_back(written([&](gguf::Writer& writer) {
      if (part == 0) writer.set("general.architecture", "llama");
      writer.set("split.no", static_cast<std::uint16_t>(part));
      writer.set("split.count", static_cast<std::uint16_t>(parts));
      writer.set("split.tensors.count", static_cast<std::int32_t>(parts));
      writer.add_tensor(fmt::format("blk.{}.weight", part), DType::f32, {1000});
      const std::vector<float> data = random_values(1000, part + 1);
      writer.write(std::as_bytes(std::span(data)));
    }));
  }
  return out;
}

std::string sha256_hex(std::string_view bytes) {
  store::Sha256 hash;
  hash.update(std::as_bytes(std::span(bytes)));
  return hash.finish().hex();
}

std::string read_text(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_text(const fs::path& path, std::string_view text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

std::string random_bytes(std::size_t bytes, unsigned seed) {
  std::mt19937 random(seed);
  std::string out(bytes, '\0');
  for (char& c : out) c = static_cast<char>(random());
  return out;
}

store::StoreOptions test_options(const fs::path& root) {
  store::StoreOptions options{.root = root};
  options.hub.endpoint = "http://127.0.0.1:9";  // the discard port: refused at once
  options.pip.python = "/nonexistent/python3";
  options.download.http.connect_timeout = std::chrono::milliseconds(2000);
  options.download.http.stall_timeout = std::chrono::seconds(1);
  options.download.attempts = 3;
  options.download.backoff = std::chrono::milliseconds(5);
  options.download.partial.checkpoint_bytes = 64 << 10;
  return options;
}

Tool::Tool(const Options& options) {
  int in[2];
  int out[2];
  if (::pipe(in) != 0 || ::pipe(out) != 0) throw std::runtime_error("no pipe");
  for (const int fd : {in[0], in[1], out[0], out[1]}) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  std::vector<std::string> arguments{STORE_TOOL};
  arguments.insert(arguments.end(), options.arguments.begin(), options.arguments.end());
  std::vector<std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (!options.environment.contains(std::string(text.substr(0, text.find('=')))))
      variables.emplace_back(text);
  }
  for (const auto& [name, value] : options.environment) variables.push_back(name + "=" + value);
  std::vector<char*> argv;
  std::vector<char*> envp;
  for (std::string& s : arguments) argv.push_back(s.data());
  for (std::string& s : variables) envp.push_back(s.data());
  argv.push_back(nullptr);
  envp.push_back(nullptr);
  pid_ = ::fork();
  if (pid_ == 0) {
    ::dup2(in[0], 0);
    ::dup2(out[1], 1);
    if (options.max_files > 0) {
      const rlimit limit{options.max_files, options.max_files};
      ::setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (options.as_nobody && ::getuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0)) ::_exit(126);
    ::execve(argv[0], argv.data(), envp.data());
    ::_exit(127);
  }
  ::close(in[0]);
  ::close(out[1]);
  in_ = in[1];
  out_ = out[0];
}

Tool::~Tool() {
  if (pid_ > 0) {
    kill();
    wait();
  }
  close_input();
  ::close(out_);
}

void Tool::kill() { ::kill(pid_, SIGKILL); }

std::string Tool::read_line() {
  std::string line;
  char c = 0;
  while (::read(out_, &c, 1) == 1 && c != '\n') line += c;
  return line;
}

int Tool::wait() {
  if (pid_ <= 0) return 0;
  char block[4096];
  for (ssize_t n = 0; (n = ::read(out_, block, sizeof block)) > 0;)
    output_.append(block, static_cast<std::size_t>(n));
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

std::string Tool::output() { return output_; }

void Tool::close_input() {
  if (in_ >= 0) ::close(in_);
  in_ = -1;
}

}  // namespace medlar::testing
