// The statement grammar.
#include "text/jinja/parser.h"

#include <algorithm>
#include <initializer_list>

#include <fmt/format.h>

#include "text/jinja/expression_parser.h"
#include "text/jinja/strings.h"
#include "text/unicode.h"

namespace medlar::jinja {
namespace {

class StatementParser {
 public:
  StatementParser(std::vector<Token> tokens, const ParseLimits& limits)
      : tokens_(std::move(tokens), limits) {}

  Program run() {
    Program program;
    program.body = body({});
    program.has_blocks = !block_names_.empty();
    return program;
  }

 private:
  using Ends = std::initializer_list<std::string_view>;

  // Statements up to a tag that is one of `ends`, whose name is then current; without ends, to the template's
  // end.
  Body body(Ends ends) {
    const ExpressionParser::Level level(tokens_);
    Body out;
    while (!tokens_.is(TokenKind::end)) {
      if (tokens_.is(TokenKind::data)) {
        const Token& token = tokens_.take();
        auto text = std::make_unique<Text>(token.line);
        text->text = token.text;
        out.push_back(std::move(text));
      } else if (tokens_.skip(TokenKind::variable_begin)) {
        print(out, tokens_.tuple(true));
        tokens_.expect(TokenKind::variable_end);
      } else {
        tokens_.expect(TokenKind::block_begin);
        if (std::any_of(ends.begin(), ends.end(), [this](auto end) { return tokens_.is_name(end); }))
          return out;
        statement(out);
        tokens_.expect(TokenKind::block_end);
      }
    }
    if (ends.size() > 0)
      tokens_.fail_here(fmt::format("unexpected end of template, '{}' is missing", *ends.begin()));
    return out;
  }

  // The body of a statement whose tag is at its end.
  Body inner(Ends ends) {
    tokens_.skip(TokenKind::colon);
    tokens_.expect(TokenKind::block_end);
    return body(ends);
  }
  Body inner_to(std::string_view end) {
    Body out = inner({end});
    tokens_.take();
    return out;
  }

  static void print(Body& out, ExprPtr value) {
    auto made = std::make_unique<Print>(value->line);
    made->value = std::move(value);
    out.push_back(std::move(made));
  }

  void statement(Body& out) {
    using Parse = std::unique_ptr<Stmt> (StatementParser::*)(int line);
    struct Tag {
      std::string_view name;
      Parse parse;
    };
    static constexpr Tag kTags[] = {
        {"autoescape", &StatementParser::autoescape},
        {"block", &StatementParser::block},
        {"break", &StatementParser::loop_break},
        {"call", &StatementParser::call_block},
        {"continue", &StatementParser::loop_continue},
        {"extends", &StatementParser::extends},
        {"filter", &StatementParser::filter_block},
        {"for", &StatementParser::loop},
        {"from", &StatementParser::from},
        {"generation", &StatementParser::generation},
        {"if", &StatementParser::condition},
        {"import", &StatementParser::import},
        {"include", &StatementParser::include},
        {"macro", &StatementParser::macro},
        {"set", &StatementParser::set},
        {"with", &StatementParser::with},
    };
    if (!tokens_.is(TokenKind::name)) tokens_.fail_here("tag name expected");
    const Token& name = tokens_.take();
    if (name.text == "print") return print_statement(out);
    const auto* tag =
        std::find_if(std::begin(kTags), std::end(kTags), [&](const Tag& t) { return t.name == name.text; });
    if (tag == std::end(kTags))
      syntax_error(name.line, fmt::format("encountered unknown tag '{}'", name.text));
    out.push_back((this->*tag->parse)(name.line));
  }

  void print_statement(Body& out) {
    for (bool first = true; !tokens_.is(TokenKind::block_end); first = false) {
      if (!first) tokens_.expect(TokenKind::comma);
      print(out, tokens_.expression());
    }
  }

  std::unique_ptr<Stmt> condition(int line) {
    auto made = std::make_unique<Condition>(line);
    while (true) {
      ExprPtr test = tokens_.tuple(false);
      made->branches.push_back({.test = std::move(test), .body = inner({"elif", "else", "endif"})});
      const std::string end = tokens_.take().text;
      if (end == "elif") continue;
      if (end == "else") made->otherwise = inner_to("endif");
      return made;
    }
  }

  std::unique_ptr<Stmt> loop(int line) {
    auto made = std::make_unique<Loop>(line);
    made->target = tokens_.target(false);
    tokens_.expect_name("in");
    made->iterable = tokens_.tuple(false);
    if (tokens_.skip_name("if")) made->filter = tokens_.expression();
    made->recursive = tokens_.skip_name("recursive");
    made->body = inner({"endfor", "else"});
    if (tokens_.take().text == "else") made->otherwise = inner_to("endfor");
    return made;
  }

  std::unique_ptr<Stmt> set(int line) {
    Target target = tokens_.target(true);
    if (tokens_.skip(TokenKind::assign)) {
      auto made = std::make_unique<Assign>(line);
      made->target = std::move(target);
      made->value = tokens_.tuple(true);
      return made;
    }
    auto made = std::make_unique<Capture>(line);
    made->target = std::move(target);
    made->filter = tokens_.filters(nullptr, false);
    made->body = inner_to("endset");
    return made;
  }

  std::unique_ptr<Stmt> with(int line) {
    auto made = std::make_unique<With>(line);
    while (!tokens_.is(TokenKind::block_end)) {
      if (!made->values.empty()) tokens_.expect(TokenKind::comma);
      Target target = tokens_.target(false);
      tokens_.expect(TokenKind::assign);
      made->values.emplace_back(std::move(target), tokens_.expression());
    }
    made->body = inner_to("endwith");
    return made;
  }

  void signature(MacroCode& code) {
    tokens_.expect(TokenKind::left_paren);
    while (!tokens_.is(TokenKind::right_paren)) {
      if (!code.parameters.empty()) tokens_.expect(TokenKind::comma);
      const Token name = tokens_.assignable_name();
      const bool repeated = std::any_of(code.parameters.begin(), code.parameters.end(),
                                        [&](const auto& p) { return p.name == name.text; });
      if (repeated) syntax_error(name.line, fmt::format("duplicate argument '{}'", name.text));
      const bool optional = !code.parameters.empty() && code.parameters.back().fallback;
      MacroCode::Parameter parameter{.name = name.text};
      if (tokens_.skip(TokenKind::assign)) {
        parameter.fallback = tokens_.expression();
      } else if (optional) {
        tokens_.fail_here("non-default argument follows default argument");
      }
      code.parameters.push_back(std::move(parameter));
    }
    tokens_.take();
  }

  std::unique_ptr<Stmt> macro(int line) {
    auto made = std::make_unique<MacroStmt>(line);
    made->code.line = line;
    made->code.name = tokens_.assignable_name().text;
    signature(made->code);
    made->code.body = inner_to("endmacro");
    return made;
  }

  std::unique_ptr<Stmt> call_block(int line) {
    auto made = std::make_unique<CallBlock>(line);
    made->code.line = line;
    if (tokens_.is(TokenKind::left_paren)) signature(made->code);
    made->call = tokens_.expression();
    if (made->call->kind != ExprKind::call) syntax_error(line, "expected call");
    made->code.body = inner_to("endcall");
    return made;
  }

  std::unique_ptr<Stmt> generation(int line) {
    auto made = std::make_unique<Generation>(line);
    made->code.line = line;
    made->code.body = inner_to("endgeneration");
    return made;
  }

  std::unique_ptr<Stmt> filter_block(int line) {
    auto made = std::make_unique<FilterBlock>(line);
    made->filter = tokens_.filters(nullptr, true);
    made->body = inner_to("endfilter");
    return made;
  }

  std::unique_ptr<Stmt> autoescape(int line) {
    const ExprPtr escaping = tokens_.expression();
    const bool off = escaping->kind == ExprKind::constant &&
                     static_cast<const Constant&>(*escaping).value.is(Kind::boolean) &&
                     !static_cast<const Constant&>(*escaping).value.as_boolean();
    if (!off) fail(ErrorKind::unsupported, "chat template, line {}: autoescape is not supported", line);
    auto made = std::make_unique<ScopeStmt>(line);
    made->body = inner_to("endautoescape");
    return made;
  }

  std::unique_ptr<Stmt> block(int line) {
    auto made = std::make_unique<Block>(line);
    made->name = tokens_.expect(TokenKind::name).text;
    if (std::find(block_names_.begin(), block_names_.end(), made->name) != block_names_.end()) {
      syntax_error(line, fmt::format("block '{}' defined twice", made->name));
    }
    block_names_.push_back(made->name);
    made->scoped = tokens_.skip_name("scoped");
    made->required = tokens_.skip_name("required");
    made->body = inner_to("endblock");
    const bool blank = std::all_of(made->body.begin(), made->body.end(), [](const auto& s) {
      return s->kind == StmtKind::text &&
             strip(static_cast<const Text&>(*s).text, std::nullopt, Side::both).empty();
    });
    if (made->required && !blank)
      syntax_error(line, "required blocks can only contain comments or whitespace");
    tokens_.skip_name(made->name);
    return made;
  }

  std::unique_ptr<Stmt> loop_break(int line) { return std::make_unique<Break>(line); }
  std::unique_ptr<Stmt> loop_continue(int line) { return std::make_unique<Continue>(line); }

  std::unique_ptr<Unavailable> unavailable(int line, std::string tag) {
    auto made = std::make_unique<Unavailable>(line);
    made->tag = std::move(tag);
    made->source = tokens_.expression();
    return made;
  }

  std::unique_ptr<Stmt> extends(int line) { return unavailable(line, "extends"); }

  std::unique_ptr<Stmt> include(int line) {
    auto made = unavailable(line, "include");
    if (tokens_.is_name("ignore") && tokens_.next().text == "missing") {
      tokens_.take();
      tokens_.take();
    }
    skip_context();
    return made;
  }

  std::unique_ptr<Stmt> import(int line) {
    auto made = unavailable(line, "import");
    tokens_.expect_name("as");
    made->names.push_back(imported_name());
    skip_context();
    return made;
  }

  std::unique_ptr<Stmt> from(int line) {
    auto made = unavailable(line, "from");
    tokens_.expect_name("import");
    while (true) {
      if (!made->names.empty()) tokens_.expect(TokenKind::comma);
      if (!tokens_.is(TokenKind::name)) tokens_.expect(TokenKind::name);
      if (skip_context()) break;
      Target name = imported_name();
      if (name.name.starts_with('_'))
        syntax_error(line, "names starting with an underline can not be imported");
      if (tokens_.skip_name("as")) name = imported_name();
      made->names.push_back(std::move(name));
      if (skip_context() || !tokens_.is(TokenKind::comma)) break;
    }
    return made;
  }

  Target imported_name() {
    const Token name = tokens_.assignable_name();
    return {.kind = Target::Kind::name, .line = name.line, .name = name.text};
  }

  bool skip_context() {
    if (!(tokens_.is_name("with") || tokens_.is_name("without")) || tokens_.next().text != "context")
      return false;
    tokens_.take();
    tokens_.take();
    return true;
  }

  ExpressionParser tokens_;
  std::vector<std::string> block_names_;
};

}  // namespace

Program parse_program(std::string_view source, const ParseLimits& limits) {
  if (source.size() > limits.source_bytes) {
    fail(ErrorKind::limit, "chat template: {} bytes, at most {} are allowed", source.size(),
         limits.source_bytes);
  }
  if (text::valid_utf8_prefix(source) != source.size()) {
    fail(ErrorKind::bad_file, "chat template: not valid UTF-8");
  }
  return StatementParser(tokenize(source), limits).run();
}

}  // namespace medlar::jinja
