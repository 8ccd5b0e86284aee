// The models of this machine: which are here, which of them is loaded, and changing both.
#pragma once

#include <atomic>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "server/api_error.h"
#include "server/background.h"
#include "server/service.h"
#include "store/store.h"

namespace medlar::server {

struct ModelRequest {
  std::string reference;         // what a user calls the model
  bool may_reduce = true;        // where memory is short, the context; or else Error(out_of_memory)
  std::optional<DType> kv_type;  // instead of the server's own
};

struct ModelsOptions {
  store::StoreOptions store;
  // Loads the engine, and makes no scheduler yet. One call at a time.
  std::function<std::unique_ptr<Model>(const ModelRequest& request)> load;
  SchedulerOptions scheduling;
  std::chrono::milliseconds patience{30'000};  // for answers in progress, before another model takes over
  std::size_t most = 0;                        // models in memory; 0: as many as the ledger allows
  KeepAlive keep_alive = std::chrono::minutes(3);
  // Without a request, before a model gives back what it can, and leaves rather than have another reduced.
  std::chrono::milliseconds rest{60'000};
};

// What is being done about a load: "loading" a model, or "unloading" one that has to leave.
using LoadProgress = std::function<void(std::string_view what, const std::string& model)>;

class Models {
 public:
  // `service` must outlive it.
  Models(Service& service, ModelsOptions options);
  ~Models();

  // Once, before anything else. The model the server is started with, by any spelling; "": none. Returns its
  // name. Throws what loading throws.
  std::string start(const std::string& reference);

  // Blocks. Where there is no room, the model whose last use is longest ago leaves, once it has answered.
  // Returns the name it has now. Throws ApiError: 404, 400 with the reason, 503 where there is no room.
  std::string load(const std::string& name, const LoadProgress& progress = {});
  // The same in the background, and then `ready` with the model; what load() throws is answered.
  void load(const Call& call, const std::string& name, std::function<void(Shelf::Lease)> ready);
  // ApiError(409) while it is answering.
  void unload(const std::string& name);

  // Of all that are here: name, bytes, kind, whether it is loaded.
  boost::json::array list();
  // Those of them that can be loaded.
  std::vector<store::InstalledModel> installed() const;
  // What the catalogue offers.
  static boost::json::array catalogue();
  // What the file says of itself, without loading it. ApiError(404).
  struct File {
    std::filesystem::path path;
    ModelDescription about;
  };
  File file(const std::string& name);
  // That in short, for the page.
  boost::json::object describe(const std::string& name);

  // Blocks until the model is here. Only what can be meant by a name: no path of this machine, no URL. Throws
  // ApiError(400), and what Store::pull() throws.
  void pull(const std::string& name, const store::PullOptions& options);

  // Gives a model that is here another name as well. ApiError: 404, 400.
  void copy(const std::string& name, const std::string& other);
  // Unloads it, if need be, and deletes it. ApiError: 404, 409 while it is answering or another program has
  // it.
  void remove(const std::string& name);
  bool has_blob(const std::string& digest) const;

  // For the routes: loading goes in turn, and pulls several at a time.
  Background& loads() { return loads_; }
  Background& reads() { return reads_; }
  Background& pulls() { return pulls_; }

  // For one pull; close() sets it as well.
  std::shared_ptr<std::atomic<bool>> cancel_flag();

  // Ends what is at work.
  void close();

 private:
  ApiError unknown(std::string_view name) const;
  // What to load for a name that a client gave. ApiError(404).
  std::string reference_of(const std::string& name) const;
  Shelf::Lease obtain(const std::string& name, const LoadProgress& progress = {});
  std::unique_ptr<Model> load(ModelRequest request, const std::string& name) const;
  Shelf::Lease put(const std::string& reference, const std::string& name, const LoadProgress& progress = {});
  // Unloads the model whose last use is longest ago. ApiError(503) where that cannot be.
  void make_room(const std::string& name, const LoadProgress& progress);
  // Unloads models whose time is over, until close().
  void tidy();

  Service& service_;
  ModelsOptions options_;
  store::Store store_;
  std::mutex changing_;       // one thread at a time loads or unloads
  mutable std::mutex mutex_;  // of what follows, up to the threads
  std::vector<std::weak_ptr<std::atomic<bool>>> cancels_;
  std::vector<std::string> given_names_;  // of the model of start(), which may be on no list
  std::string given_;
  std::uint64_t given_bytes_ = 0;
  Background loads_{1}, reads_{1}, pulls_{4};
  std::atomic<bool> closing_{false};
  std::thread tidier_;
};

}  // namespace medlar::server
