#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "consumers/views/view_events.h"
#include "engine/system_stream.h"

namespace tidemill::views {

// What views there are, folded from the system stream. A plain value but for the decisions; who shares it guards it.
class ViewDefinitions {
 public:
  struct Defined {
    std::uint64_t id = 0;  // names the family of its rows
    ViewCreated event;
  };
  struct View {
    Defined serving;
    std::optional<Defined> building;                                       // takes its place when it has caught up
    std::shared_ptr<Decisions> decisions = std::make_shared<Decisions>();  // goes on being folded into, also in copies
  };

  void fold(const SystemStream::Event& event);

  const std::map<QualifiedName, View>& all() const { return all_; }
  const View* find(const QualifiedName& name) const;
  // Each definition whose rows are kept.
  template <class F>
  void each_family(F&& visit) const {
    for (const auto& [name, view] : all_) {
      visit(view.serving);
      if (view.building) visit(*view.building);
    }
  }

 private:
  std::map<QualifiedName, View> all_;
};

inline constexpr const char* kViewCreated = "view.created";    // also: the definition of before is gone
inline constexpr const char* kViewAltering = "view.altering";  // is being built, the one of before is served
inline constexpr const char* kViewKept = "view.kept";          // what is being built is given up
inline constexpr const char* kViewDropped = "view.dropped";
inline constexpr const char* kViewDecided = "view.decided";  // what becomes of records in quarantine

}  // namespace tidemill::views
