// The account of all memory that a process takes deliberately, with one ceiling.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>

namespace medlar {

enum class MemoryUse : std::uint8_t {
  weights,      // clean pages of model files
  kv,           // keys, values and recurrent states that requests use
  cache,        // keys and values that are kept for later; they are held under kv
  activations,  // arenas of programs
  scratch,      // of threads
  tables,       // tokenizers and what else is made of a model's metadata
  buffers,      // requests and answers on their way
};
inline constexpr std::size_t kMemoryUses = 7;
std::string_view to_string(MemoryUse use);

// Whoever takes memory holds a charge for as much as it may come to, and says how much of it is in use. Any
// thread.
class Ledger : public std::enable_shared_from_this<Ledger> {
 public:
  // Bytes; 0: no ceiling.
  static std::shared_ptr<Ledger> make(std::uint64_t ceiling = 0);

  // Move-only; what it holds is given back with it.
  class Charge {
   public:
    Charge() = default;
    ~Charge() { give_back(); }
    Charge(Charge&& other) noexcept;
    Charge& operator=(Charge&& other) noexcept;

    // Of what is held, bytes that are in memory now.
    void set_used(std::uint64_t bytes);
    // Throws as charge() does; then nothing changed.
    void resize(std::uint64_t bytes);

   private:
    friend class Ledger;
    Charge(std::shared_ptr<Ledger> ledger, MemoryUse use, std::uint64_t bytes);
    void give_back();

    std::shared_ptr<Ledger> ledger_;
    MemoryUse use_ = MemoryUse::weights;
    std::uint64_t held_ = 0, used_ = 0;
  };

  // Throws Error(out_of_memory) saying what is free where the ceiling does not allow it.
  Charge charge(MemoryUse use, std::uint64_t bytes);
  // Those who hold more than this keep it; nobody gets more until there is room.
  void set_ceiling(std::uint64_t bytes);

  struct Account {
    std::uint64_t held = 0, used = 0;
  };
  struct Snapshot {
    std::array<Account, kMemoryUses> accounts;
    std::uint64_t ceiling = 0, peak = 0;  // the most that was ever held

    const Account& operator[](MemoryUse use) const { return accounts[static_cast<std::size_t>(use)]; }
    Account total() const;
    // In use, but for what can be read again from a file.
    std::uint64_t anonymous() const { return total().used - (*this)[MemoryUse::weights].used; }
  };
  Snapshot snapshot() const;

 private:
  explicit Ledger(std::uint64_t ceiling) { books_.ceiling = ceiling; }
  Account& account(MemoryUse use) { return books_.accounts[static_cast<std::size_t>(use)]; }
  void take(MemoryUse use, std::uint64_t bytes);

  mutable std::mutex mutex_;
  Snapshot books_;
};

}  // namespace medlar
