#include "api/pages/index.h"

#include "storage/base/build_info.h"

namespace tidemill {
namespace {

std::string escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<':
        out.append("&lt;");
        break;
      case '>':
        out.append("&gt;");
        break;
      case '&':
        out.append("&amp;");
        break;
      case '"':
        out.append("&quot;");
        break;
      default:
        out.push_back(c);
    }
  }
  return out;
}

void link(std::string& out, const std::string& path, std::string_view text) {
  out.append("<li><a href=\"").append(escape(path)).append("\">").append(escape(text)).append("</a></li>\n");
}

}  // namespace

void index_page(ApiContext& context, Call& call, http::Responder responder) {
  on_worker(context, std::move(responder), [&context, who = call.who](http::Responder r) {
    std::string out =
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>Tidemill</title></head>\n"
        "<body>\n<h1>Tidemill</h1>\n<p>Version " +
        escape(version()) + ", commit " + escape(commit()) + ".</p>\n";
    if (who->everything)
      out.append(
          "<p>There are no keys: whoever reaches this port may do everything. <code>tidemill keys create</code> "
          "makes the first.</p>\n");
    out.append("<h2>Streams</h2>\n<ul>\n");
    // Stream names need no percent-encoding, view names are identifiers.
    link(out, "/v1/streams", "all streams");
    for (const auto& stream : context.engine.list(who->tenant)) {
      if (!who->may(Action::see, Thing::stream, stream->name())) continue;
      link(out, "/v1/streams/" + stream->name(), stream->name());
      link(out, "/v1/streams/" + stream->name() + "/records?limit=10", "first records of " + stream->name());
    }
    out.append("</ul>\n<h2>Views</h2>\n<ul>\n");
    link(out, "/v1/views", "all views");
    if (const OwnViews views = context.views_of(*who)) {
      for (const auto& view : views->list()) {
        if (!who->may(Action::see, Thing::view, view.name)) continue;
        link(out, "/v1/views/" + view.name, view.name);
        link(out, "/v1/views/" + view.name + "/rows?limit=10", "first rows of " + view.name);
      }
    }
    out.append("</ul>\n<h2>State</h2>\n<ul>\n");
    for (const char* path : {"/v1/groups", "/healthz", "/readyz", "/readyz/ingest", "/metrics", "/openapi.json"})
      link(out, path, path);
    out.append("</ul>\n<p>POST records to /v1/streams/{stream}/records, SQL to /v1/sql.</p>\n</body>\n</html>\n");
    http::Response response;
    response.content_type = "text/html; charset=utf-8";
    response.body = std::move(out);
    r.send(std::move(response));
  });
}

}  // namespace tidemill
