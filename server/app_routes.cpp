// The route by which apps hear of what happens to their memory and their answers.
#include "server/apps.h"
#include "server/routes.h"

namespace medlar::server {

std::span<const Route> app_routes() {
  static constexpr Route kRoutes[] = {
      {.path = "/v1/events",
       .handler =
           [](const Call& call) {
             if (!call.service.apps) throw ApiError(404, "this server has no apps", {.code = "not_found"});
             call.service.apps->listen(call);
           },
       .about = "What happens to an app's memory and answers, as it happens (server-sent events)",
       .content_type = "text/event-stream"}};
  return kRoutes;
}

}  // namespace medlar::server
