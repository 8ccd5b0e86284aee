// Grammars compiled for a model's vocabulary; the latest are kept, with what was learnt while running them.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "server/structure.h"
#include "text/grammar/grammar.h"

namespace medlar::server {

class Constraints {
 public:
  explicit Constraints(const Engine& engine);

  struct Compiled {
    std::shared_ptr<grammar::Constraint> grammar;
    std::vector<std::string> relaxed;  // why arguments of a tool are any JSON instead of their schema's
  };
  // Any thread. Throws ApiError(400) naming the field and what is wrong with it or not supported.
  Compiled get(const ContentForm& form);
  // Of an answer with tools. Where `strict`, a schema of arguments that is not supported is an error; else
  // they may be any JSON of its type, which `relaxed` tells.
  Compiled get(const reply::ToolGrammar& tools, const std::optional<ContentForm>& content, bool strict);

  // Control tokens with their names, for texts that mean them.
  const std::vector<grammar::Vocabulary::Token>& specials() const { return specials_; }

 private:
  template <class Make>
  Compiled cached(std::string key, Make&& make);

  const Engine& engine_;
  std::vector<grammar::Vocabulary::Token> specials_;
  std::mutex mutex_;
  std::list<std::pair<std::string, Compiled>> latest_;  // the last one used first
};

}  // namespace medlar::server
