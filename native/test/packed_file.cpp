// Files of packed weights: opened only where they are whole, made by one process or many, left nowhere half made; the same bits from a map, made
// now, and in private memory.
#include "model/packed_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <iterator>
#include <thread>
#include <vector>

#include "core/pool.h"
#include "test/check.h"
#include "test/tiny_model.h"

namespace {

using test::check;
using test::Engine;
using test::Model;
using test::TinyModel;
using zs::PackedMemory;

constexpr int64_t kHeader = 4096, kBytes = (int64_t{2} << 20) + 64 * 3 + 5;

struct Folder {
  std::string path;
  Folder() {
    char name[] = "/tmp/zslab-packed-XXXXXX";
    if (!mkdtemp(name)) throw std::runtime_error("no temporary folder");
    path = name;
  }
  ~Folder() {
    for (const std::string& name : names())
      if (unlink((path + "/" + name).c_str()) != 0) rmdir((path + "/" + name).c_str());
    rmdir(path.c_str());
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string at(const char* name) const { return path + "/" + name; }
  std::vector<std::string> names() const {
    std::vector<std::string> all;
    DIR* const list = opendir(path.c_str());
    while (const dirent* entry = readdir(list))
      if (entry->d_name != std::string(".") && entry->d_name != std::string("..")) all.push_back(entry->d_name);
    closedir(list);
    std::sort(all.begin(), all.end());
    return all;
  }
  bool holds(const std::vector<std::string>& expected) const { return names() == expected; }
};

using Bytes = std::vector<char>;
Bytes bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
void put(const std::string& path, const Bytes& bytes) {
  unlink(path.c_str());  // what others have mapped is not written
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

// What a model gives, for a prompt by whatever multiplies many rows, and a step.
std::vector<float> logits_of(const Engine& engine, const TinyModel& tiny, const Model& model) {
  test::Cache cache(engine, tiny.cache_config());
  std::vector<float> all = model.forward(cache, test::some_ids(tiny, 37, 5));
  for (const float one : model.forward(cache, {3})) all.push_back(one);
  return all;
}
bool says(const Model& model, const char* words) { return std::strstr(zs_model_describe(model.handle), words); }

int open_files() {
  int count = 0;
  for (int i = 0; i < 256; ++i) count += fcntl(i, F_GETFD) != -1;
  return count;
}

// ---- of one file

PackedMemory made(const std::string& path, int64_t bytes, zs::Pool& pool, uint64_t layout = 7) {
  PackedMemory memory = PackedMemory::make(path, bytes, layout);
  test::Random random(static_cast<uint64_t>(bytes));
  for (int64_t i = 0; i < bytes; ++i) memory.data()[i] = static_cast<uint8_t>(random.next());
  memory.save(pool, nullptr);
  return memory;
}

void only_whole() {
  const Folder folder;
  zs::Pool pool(2);
  const std::string path = folder.at("w"), other = folder.at("o");
  const PackedMemory first = made(path, kBytes, pool);
  check(first.mapped() && first.why().empty() && folder.holds({"w"}), "a file was not made: %s", first.why().c_str());
  const auto opens = [&](const std::string& at, int64_t bytes = kBytes, uint64_t layout = 7) {
    return PackedMemory::open(at, bytes, layout, pool, nullptr).data() != nullptr;
  };
  {
    const PackedMemory again = PackedMemory::open(path, kBytes, 7, pool, nullptr);
    check(again.mapped() && !std::memcmp(again.data(), first.data(), kBytes),
          "a whole file does not open, or has other bytes");
  }
  check(!opens(path, kBytes, 8) && !opens(path, kBytes - 1) && !opens(path, kBytes + 1) && !opens(path, kBytes + 64),
        "a file of another layout or size opens");
  const Bytes whole = bytes_of(path);
  check(static_cast<int64_t>(whole.size()) == kHeader + kBytes, "a file of %zu bytes", whole.size());
  for (const int64_t size :
       {int64_t{0}, int64_t{1}, int64_t{39}, kHeader - 1, kHeader, kHeader + 1, kHeader + kBytes - 1}) {
    put(other, Bytes(whole.begin(), whole.begin() + size));
    check(!opens(other), "a file cut to %lld bytes opens", static_cast<long long>(size));
  }
  Bytes longer = whole;
  longer.push_back(0), put(other, longer);
  check(!opens(other), "a file with a byte more opens");
  put(other, whole);
  check(opens(other), "a copy does not open");
  test::Random random(1);
  std::vector<int64_t> places{kHeader, kHeader + kBytes - 1};
  for (int64_t at = 0; at < kHeader; at += at < 64 ? 1 : 61) places.push_back(at);
  for (int i = 0; i < test::alike(400, 60, 10); ++i) places.push_back(kHeader + random.upto(0, kBytes - 1));
  const int file = open(other.c_str(), O_RDWR);
  for (const int64_t at : places) {
    const char flipped = static_cast<char>(whole[static_cast<size_t>(at)] ^ 1 << random.upto(0, 7));
    check(pwrite(file, &flipped, 1, at) == 1 && !opens(other), "byte %lld was flipped, and the file opens",
          static_cast<long long>(at));
    check(pwrite(file, &whole[static_cast<size_t>(at)], 1, at) == 1, "a byte was not put back");
  }
  check(opens(other), "a file whose bytes were put back does not open");
  const uint32_t version = zs::kPackedVersion + 1;
  check(pwrite(file, &version, 4, 8) == 4 && !opens(other), "a file of another version opens");
  close(file);
}

void no_file() {
  const Folder folder;
  zs::Pool pool(1);
  const auto opens = [&](const std::string& at) {
    return PackedMemory::open(at, 100, 7, pool, nullptr).data() != nullptr;
  };
  check(!opens("") && !opens(folder.at("none")) && !opens(folder.at("none/below")) && !opens(folder.path),
        "what is no file opens");
  mkfifo(folder.at("pipe").c_str(), 0600);
  check(!opens(folder.at("pipe")), "a pipe opens");  // and is not waited for
  put(folder.at("text"), {'a'});
  const auto refused = [&](const std::string& at, const char* why) {
    PackedMemory memory = PackedMemory::make(at, 5000, 7);
    check(
        !memory.mapped() && memory.data() && memory.why().find(why) == 0 && memory.why().find(at) != std::string::npos,
        "%s: mapped %d, \"%s\"", at.c_str(), memory.mapped(), memory.why().c_str());
    std::memset(memory.data(), 1, 5000);
    memory.save(pool, nullptr);
  };
  refused(folder.at("text/below"), "Not a directory: ");
  refused(folder.at("none/below"), "No such file or directory: ");
  // As a full disk: the blocks cannot be had.
  rlimit before{}, little{};
  getrlimit(RLIMIT_FSIZE, &before);
  little = before, little.rlim_cur = 4096;
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &little);
  refused(folder.at("large"), "File too large: ");
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  // Where a folder has the name nothing takes its place, and the weights are there nonetheless.
  mkdir(folder.at("folder").c_str(), 0700);
  const PackedMemory memory = made(folder.at("folder"), 5000, pool);
  check(memory.mapped() && memory.why().find(": " + folder.at("folder")) != std::string::npos,
        "a folder in the way: mapped %d, \"%s\"", memory.mapped(), memory.why().c_str());
  check(folder.holds({"folder", "pipe", "text"}), "something was left");
}

void cleared_meanwhile() {
  const Folder folder;
  zs::Pool pool(1);
  PackedMemory memory = PackedMemory::make(folder.at("w"), 5000, 7);
  for (const std::string& name : folder.names()) unlink((folder.path + "/" + name).c_str());
  std::memset(memory.data(), 3, 5000);
  memory.save(pool, nullptr);
  check(memory.mapped() && memory.why().empty() && memory.data()[4999] == 3 && folder.holds({}),
        "a folder that was cleared while a file was made: \"%s\"", memory.why().c_str());
  const PackedMemory next = made(folder.at("w"), 5000, pool);
  unlink(folder.at("w").c_str());
  check(next.mapped() && folder.holds({}) && next.data()[0] + next.data()[4999] >= 0, "a removed file is not mapped");
  const PackedMemory never = PackedMemory::make(folder.at("w"), 5000, 7);
  check(folder.names().size() == 1, "a file that is being made has no name");
}

// ---- of models

void same_bits() {
  const zs_model_config shapes[] = {test::even_sizes(), test::odd_sizes(), test::super_sizes()};
  for (int seed = 1; seed <= test::alike(60, 12, 3); ++seed) {
    const Folder folder;
    const std::string path = folder.at("w");
    const TinyModel tiny(shapes[seed % 3], static_cast<uint64_t>(seed));
    const Engine engine(2);
    const Model own(engine, tiny, ZS_WEIGHTS_FILE);
    const std::vector<float> judge = logits_of(engine, tiny, own);
    check(says(own, "\"mapped\":false,\"why\":\"\""), "private weights: %s", zs_model_describe(own.handle));
    for (const char* how : {"made", "mapped"}) {
      const Model model(engine, tiny, ZS_WEIGHTS_FILE, path);
      check(says(model, "\"mapped\":true,\"why\":\"\"") && folder.holds({"w"}), "%s: %s", how,
            zs_model_describe(model.handle));
      check(test::same_bits(logits_of(engine, tiny, model), judge), "seed %d: %s weights give other bits", seed, how);
    }
    Bytes broken = bytes_of(path);
    broken[broken.size() / 2] ^= 4, put(path, broken);
    const Model mended(engine, tiny, ZS_WEIGHTS_FILE, path);
    check(test::same_bits(logits_of(engine, tiny, mended), judge) && bytes_of(path) != broken,
          "seed %d: a broken file was taken, or left", seed);
    put(folder.at("file"), {'a'});
    const Model nowhere(engine, tiny, ZS_WEIGHTS_FILE, folder.at("file/w"));
    check(says(nowhere, "\"mapped\":false,\"why\":\"Not a directory: ") &&
              test::same_bits(logits_of(engine, tiny, nowhere), judge),
          "seed %d, where no file can be made: %s", seed, zs_model_describe(nowhere.handle));
  }
}

void aborts() {
  const TinyModel tiny(test::super_sizes(), 4);
  const Engine engine(2);
  const Folder folder;
  const std::string path = folder.at("w");
  zs_model_config config = tiny.config;
  config.weights = ZS_WEIGHTS_FILE, config.packed = path.c_str();
  const char* file = tiny.path.c_str();
  int stopped = 0;
  for (int i = 0; i < test::alike(200, 60, 20); ++i) {
    zs_call call{};
    bool over = false;
    std::thread other([&] {  // at another moment each time: from its first report on
      while (!__atomic_load_n(&over, __ATOMIC_RELAXED) && !__atomic_load_n(&call.total, __ATOMIC_RELAXED))
        std::this_thread::yield();
      for (int turns = 0; turns < i * 4; ++turns) std::this_thread::yield();
      __atomic_store_n(&call.abort, 1, __ATOMIC_RELAXED);
    });
    zs_model* model = nullptr;
    const zs_status status = zs_model_load(engine.handle, &file, 1, &config, tiny.table.data(),
                                           static_cast<int64_t>(tiny.table.size()), &model, &call);
    __atomic_store_n(&over, true, __ATOMIC_RELAXED);
    other.join();
    check(status == ZS_OK || (status == ZS_ABORTED && !model), "status %d: %s", status, zs_last_error());
    stopped += status == ZS_ABORTED;
    // Stopped behind its last step, too, the whole file may stay.
    const std::vector<std::string> left = folder.names();
    check(left.empty() || left == std::vector<std::string>{"w"}, "a stopped load left %s",
          left.empty() ? "" : left[0].c_str());
    zs_model_destroy(model);
    unlink(path.c_str());
  }
  check(stopped > 0, "no load was ever stopped");
}

void many_threads() {
  const TinyModel tiny(test::super_sizes(), 5);
  const Folder folder;
  std::vector<std::vector<float>> all(6);
  std::vector<std::thread> threads;
  for (std::vector<float>& logits : all)
    threads.emplace_back([&] {
      const Engine engine(1);
      const Model model(engine, tiny, ZS_WEIGHTS_FILE, folder.at("w"));
      logits = logits_of(engine, tiny, model);
    });
  for (std::thread& one : threads) one.join();
  for (const std::vector<float>& logits : all) check(test::same_bits(logits, all[0]), "a thread's load has other bits");
  check(folder.holds({"w"}), "threads that loaded at once left %zu files", folder.names().size());
  const Engine engine(1);
  const Bytes before = bytes_of(folder.at("w"));
  const Model again(engine, tiny, ZS_WEIGHTS_FILE, folder.at("w"));
  check(test::same_bits(logits_of(engine, tiny, again), all[0]) && bytes_of(folder.at("w")) == before,
        "what threads made at once is not whole");
}

// ---- of processes: before this one has threads

struct Pipe {
  int ends[2] = {-1, -1};
  Pipe() {
    if (pipe(ends) != 0) throw std::runtime_error("no pipe");
  }
  void close_write() { close(ends[1]), ends[1] = -1; }
  ~Pipe() {
    for (const int end : ends)
      if (end >= 0) close(end);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  void wait() const {  // until the last writer closed it
    char byte;
    while (read(ends[0], &byte, 1) > 0) {
    }
  }
};

void many_processes() {
  const TinyModel tiny(test::super_sizes(), 6);
  const Folder folder;
  Pipe start;
  std::vector<pid_t> children;
  for (int i = 0; i < 6; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      start.close_write(), start.wait();
      bool right = false;
      {
        const Engine engine(1);
        const Model model(engine, tiny, ZS_WEIGHTS_FILE, folder.at("w"));
        const std::vector<float> logits = logits_of(engine, tiny, model);
        right = says(model, "\"mapped\":true,\"why\":\"\"");
        std::ofstream out(folder.at("out-") + std::to_string(i), std::ios::binary);
        out.write(reinterpret_cast<const char*>(logits.data()), static_cast<std::streamsize>(logits.size() * 4));
      }
      _exit(right ? 0 : 1);
    }
    children.push_back(child);
  }
  start.close_write();
  for (const pid_t child : children) {
    int status = 0;
    check(waitpid(child, &status, 0) == child && status == 0, "a process that loaded beside others ended with %d",
          status);
  }
  const Bytes first = bytes_of(folder.at("out-0"));
  check(!first.empty(), "no logits");
  for (int i = 0; i < 6; ++i) {
    const std::string out = folder.at("out-") + std::to_string(i);
    check(bytes_of(out) == first, "process %d has other bits", i);
    unlink(out.c_str());
  }
  check(folder.holds({"w"}), "processes that loaded at once left %zu files", folder.names().size());
}

void left_behind() {
  const Folder folder;
  const std::string path = folder.at("w");
  const auto making = [&](const char* name,
                          const Pipe* until) {  // a process that makes a file, and is killed, or told when to go on
    Pipe begun;
    const pid_t child = fork();
    if (child == 0) {
      bool right = false;
      {
        zs::Pool pool(1);
        PackedMemory memory = PackedMemory::make(folder.at(name), 5000, 7);
        begun.close_write();
        if (!until) kill(getpid(), SIGKILL);
        std::memset(memory.data(), 1, 5000);
        close(until->ends[1]), until->wait();
        memory.save(pool, nullptr);
        right = memory.why().empty();
      }
      _exit(right ? 0 : 1);
    }
    begun.close_write(), begun.wait();
    return child;
  };
  int status = 0;
  Pipe go;
  waitpid(making("dead", nullptr), &status, 0);
  const pid_t alive = making("alive", &go);
  const std::vector<std::string> before = folder.names();
  check(before.size() == 2 && before[0].find("alive.packing-") == 0 && before[1].find("dead.packing-") == 0,
        "%zu files are being made", before.size());
  zs::Pool pool(1);
  check(!PackedMemory::open(path, 5000, 7, pool, nullptr).data() && folder.holds({before[0]}),
        "what a dead process left is there, or what a living one makes is gone");
  go.close_write();
  check(waitpid(alive, &status, 0) == alive && status == 0 && folder.holds({"alive"}),
        "a living process lost its file");
  check(PackedMemory::open(folder.at("alive"), 5000, 7, pool, nullptr).data() != nullptr, "its file does not open");
}

}  // namespace

int main() {
  try {
    many_processes();
    left_behind();
    const int before = open_files();
    only_whole();
    no_file();
    cleared_meanwhile();
    same_bits();
    aborts();
    many_threads();
    check(open_files() == before, "%d files are open, %d were", open_files(), before);
  } catch (const std::exception& e) {
    check(false, "%s", e.what());
  }
  return test::finish("packed_file");
}
