// The catalog as one tenant has it: each name is of that tenant, whoever asks.
#include "consumers/views/catalog.h"

namespace tidemill::views {
namespace {

class TenantViews final : public Views {
 public:
  TenantViews(Catalog& catalog, std::string_view tenant) : catalog_(catalog), tenant_(tenant) {}

  SqlResult<ViewInfo> create(std::string_view name, std::string_view sql) override {
    return catalog_.create(own(name), sql);
  }
  SqlResult<bool> drop(std::string_view name) override { return catalog_.drop(own(name)); }
  SqlResult<ViewChange> define(std::string_view name, std::string_view sql) override {
    return catalog_.define(own(name), sql);
  }
  std::optional<SqlResult<StatementResult>> run(std::string_view sql) override { return catalog_.run(tenant_, sql); }
  std::vector<ViewInfo> list() const override { return catalog_.list(tenant_); }
  std::vector<FailedView> failed() const override { return catalog_.failed(tenant_); }
  std::optional<ViewInfo> find(std::string_view name) const override { return catalog_.find(own(name)); }
  std::vector<std::string> reading(std::string_view stream) const override { return catalog_.reading(own(stream)); }

  Result<std::optional<AsOf>> as_of(std::string_view view) override { return catalog_.as_of(own(view)); }
  Result<std::optional<GetResult>> get(std::string_view view, const Row& key) override {
    return catalog_.get(own(view), key);
  }
  Result<std::optional<GetResult>> get_in_memory(std::string_view view, const Row& key) override {
    return catalog_.get_in_memory(own(view), key);
  }
  Result<std::optional<RangeResult>> range(std::string_view view, const RangeOptions& options) override {
    return catalog_.range(own(view), options);
  }
  Result<std::optional<PastResult>> get_at(std::string_view view, const Row& key, const PastOptions& options) override {
    return catalog_.get_at(own(view), key, options);
  }
  Result<std::optional<WhyAnswer>> why(std::string_view view, const Row& key, const WhyOptions& options) override {
    return catalog_.why(own(view), key, options);
  }
  Result<std::optional<QuarantineResult>> quarantine(std::string_view view, Sequence from,
                                                     std::uint32_t limit) override {
    return catalog_.quarantine(own(view), from, limit);
  }
  SqlResult<DecisionResult> decide(std::string_view view, const DecisionRequest& request) override {
    return catalog_.decide(own(view), request);
  }
  SqlResult<std::unique_ptr<QueryCursor>> query(std::string_view sql, const Row& params,
                                                const QueryLimits& limits) override {
    return catalog_.query(tenant_, sql, params, limits);
  }
  SqlResult<std::unique_ptr<QueryCursor>> query_at(std::string_view sql, const Row& params, const QueryLimits& limits,
                                                   const At& at) override {
    return catalog_.query_at(tenant_, sql, params, limits, at);
  }
  HistoryStatus history() const override { return catalog_.history(tenant_); }
  std::shared_ptr<void> when_applied(std::string_view view, Position position, std::function<void()> then) override {
    return catalog_.when_applied(own(view), position, std::move(then));
  }
  std::shared_ptr<Watch> watch(std::string_view view) override { return catalog_.watch(own(view)); }
  bool ready() const override { return catalog_.ready(tenant_); }
  Result<std::vector<Difference>> rebuild_and_compare(std::string_view view) override {
    return catalog_.rebuild_and_compare(own(view));
  }

 private:
  QualifiedName own(std::string_view name) const { return {tenant_, std::string(name)}; }

  Catalog& catalog_;
  const std::string tenant_;
};

}  // namespace

std::shared_ptr<Views> Catalog::of(std::string_view tenant) {
  return std::make_shared<TenantViews>(*this, tenant);
}

}  // namespace tidemill::views
