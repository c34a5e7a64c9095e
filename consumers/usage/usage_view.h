#pragma once

#include <string_view>

#include "consumers/views/views.h"
#include "engine/engine.h"

namespace tidemill {

inline constexpr std::string_view kUsageView = "usage";
// As anybody could have written it. Rows go when the records do that made them.
inline constexpr std::string_view kUsageViewSql =
    R"sql(CREATE MATERIALIZED VIEW usage WITH (window = day, size = '1 day', retention = '400 days', lineage = false) AS
SELECT key,
       date(timestamp(hour)) AS day,
       sum(requests)         AS requests,
       sum(records)          AS records,
       sum(bytes)            AS bytes,
       sum(refused)          AS refused
FROM _usage
GROUP BY key, day)sql";

// From now on each tenant that has the stream `_usage` gets the view `usage` over it, now or with its first usage, as a
// task of `executor`, which may block and is not env.background. One that has a view of that name keeps its own: the
// log says so where that reads something else. Call once; what is handed in outlives the executor's tasks.
void keep_usage_views(Env& env, Engine& engine, views::AllViews& views, Executor& executor);

}  // namespace tidemill
