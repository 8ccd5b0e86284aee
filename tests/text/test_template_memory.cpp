// A rendering keeps nothing alive once it is over, however it ends.
#include <memory>

#include <gtest/gtest.h>

#include "base/error.h"
#include "text/jinja/template.h"
#include "text/jinja/value.h"

namespace medlar::jinja {
namespace {

TEST(TemplateMemory, ErrorsInLoopsLetGo) {
  const char* failing[] = {
      "{% for x in l %}{{ loop.index }}{{ 1 / 0 }}{% endfor %}",
      "{% macro m() %}{% for x in l %}{{ loop.index }}{{ 1 / 0 }}{% endfor %}{% endmacro %}{{ m() }}",
      "{% block b %}{% for x in l if x %}{{ loop.index }}{{ 1 / 0 }}{% endfor %}{% endblock %}",
      "{% macro m() %}{% for x in l %}{% with q = loop %}{{ 1 / 0 }}{% endwith %}{% endfor %}{% endmacro "
      "%}{{ m() }}",
      "{% macro m() %}{% for x in l recursive %}{{ loop(l) }}{% endfor %}{% endmacro %}{{ m() }}",
  };
  for (const char* source : failing) {
    const auto list =
        std::make_shared<const List>(List{.items = {Value::integer(1)}, .extent = {}, .charge = {}});
    const Value context = Value::dict({{"l", Value(list)}});
    const auto users = list.use_count();
    EXPECT_THROW(Template::parse(source).render(context), Error) << source;
    EXPECT_EQ(list.use_count(), users) << source;
  }
}

}  // namespace
}  // namespace medlar::jinja
