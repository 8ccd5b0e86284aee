// In place of the page where it could not be built.
#include "web/page.h"

namespace medlar::web {
namespace {

constexpr unsigned char kText[] =
    "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<meta name=\"color-scheme\" content=\"light dark\">\n<title>Medlar</title>\n"
    "<h1>This build of Medlar has no page</h1>\n"
    "<p>It was built without Node. The server itself is complete: any client of the OpenAI, Anthropic or "
    "Ollama\n"
    "interfaces can use this address.</p>\n"
    "<p>To have the page, install Node 18 or later with npm, and build Medlar again. In a terminal,\n"
    "<code>medlar chat</code> needs no page.</p>\n</html>\n";

constexpr PageFile kFiles[] = {{.path = "/",
                                .content_type = "text/html; charset=utf-8",
                                .encoding = "",
                                .etag = "\"no-page\"",
                                .cache_control = "no-cache",
                                .bytes = std::span(kText, sizeof kText - 1)}};

}  // namespace

std::span<const PageFile> page_files() { return kFiles; }
bool has_page() { return false; }

}  // namespace medlar::web
