// From the MODEL a user typed to the file to open.
#pragma once

#include <string>
#include <string_view>

#include "cli/console.h"
#include "store/store.h"

namespace medlar::cli {

inline constexpr std::string_view kDefaultModel = "smollm2:135m";

store::Store open_store();

// Shows the progress of a pull or a verification as a bar on the console's messages. The bar is cleared when
// the last copy of the result goes away.
store::ProgressFn progress_on(const Console& console);

// Pulls with progress and notes. Ctrl-C stops it; what was loaded so far stays for next time.
store::PullResult pull_model(store::Store& store, const std::string& reference, const Console& console);

// What to open. A model that is not here yet is pulled first.
store::ResolvedModel resolve_or_pull(store::Store& store, const std::string& reference,
                                     const Console& console);

// The installed catalogue model with the most parameters whose files take at most half of the memory that can
// be had; "" where there is none.
std::string best_installed(const store::Store& store);
// The same; else kDefaultModel.
std::string best_model(const store::Store& store);

}  // namespace medlar::cli
