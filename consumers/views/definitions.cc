#include "consumers/views/definitions.h"

namespace tidemill::views {

void ViewDefinitions::fold(const SystemStream::Event& event) {
  if (event.type == kViewCreated || event.type == kViewAltering) {
    auto created = decode_created(event.json);
    if (!created) return;
    const QualifiedName name = created->name;
    if (event.type == kViewAltering) {
      const auto there = all_.find(name);
      if (there != all_.end()) there->second.building = Defined{event.sequence.value(), std::move(*created)};
      return;
    }
    const std::uint64_t id = created->built != 0 ? created->built : event.sequence.value();
    View view{{id, std::move(*created)}, std::nullopt};
    // Decisions are about records: another definition over the same stream keeps them.
    const auto before = all_.find(name);
    if (before != all_.end() && before->second.serving.event.stream == view.serving.event.stream)
      view.decisions = before->second.decisions;
    all_.insert_or_assign(name, std::move(view));
    return;
  }
  if (event.type == kViewDecided) {
    const auto decided = decode_decided(event.json);
    const auto about = decided ? all_.find(decided->name) : all_.end();
    if (about == all_.end()) return;
    for (const Sequence sequence : decided->sequences) about->second.decisions->add(sequence, decided->decision);
    return;
  }
  if (event.type != kViewKept && event.type != kViewDropped) return;
  const auto name = decode_dropped(event.json);
  const auto there = name ? all_.find(*name) : all_.end();
  if (there == all_.end()) return;
  if (event.type == kViewDropped) {
    all_.erase(there);
  } else {
    there->second.building.reset();
  }
}

const ViewDefinitions::View* ViewDefinitions::find(const QualifiedName& name) const {
  const auto there = all_.find(name);
  return there == all_.end() ? nullptr : &there->second;
}

}  // namespace tidemill::views
