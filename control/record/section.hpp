// SPDX-License-Identifier: Apache-2.0
// A section of a record: all components of one kind. Each file `*_section.hpp` has the fields of one kind,
// and beside them where its components are found and where they are put.
#pragma once

#include "control/record/archive.hpp"
#include "control/record/places.hpp"

#include <string_view>

namespace ferry {

/// Collects the components of one section.
class ComponentsWriter {
 public:
  explicit ComponentsWriter(const RecordContext& context) : context_(context) {}
  template <class Place, class Value>
  void add(const Place& place, const Value& value) {
    RecordWriter writer(context_);
    nlohmann::json fields = writer.to_json(value);
    fields["at"] = writer.to_json(place);
    components_.push_back(std::move(fields));
  }
  [[nodiscard]] const RecordContext& context() const { return context_; }
  [[nodiscard]] nlohmann::json take() { return std::move(components_); }

 private:
  const RecordContext& context_;
  nlohmann::json components_ = nlohmann::json::array();
};

/// One component to be read.
class SavedComponent {
 public:
  SavedComponent(const nlohmann::json& fields, RecordContext& context, FieldsPresent present)
      : fields_(fields), context_(context), present_(present) {}
  template <class Place>
  [[nodiscard]] Place at() const {
    Place place;
    RecordReader(fields_, context_, FieldsPresent::kAll)("at", place);
    return place;
  }
  template <class Value>
  void read(Value& value) const {
    RecordReader(fields_, context_, present_).from_json(fields_, value);
  }
  [[nodiscard]] RecordContext& context() const { return context_; }

 private:
  const nlohmann::json& fields_;
  RecordContext& context_;
  FieldsPresent present_;
};

/// What a record knows of one section.
struct SectionRow {
  std::string_view name;
  /// Rises with every field that is added, taken away or gets another meaning.
  int version = 1;
  void (*save)(const Call& call, ComponentsWriter& out) = nullptr;
  /// Called once for each component, in the order in which they were saved. Throws `std::exception`.
  void (*load)(Call& call, const SavedComponent& saved) = nullptr;
};

template <class Section>
inline constexpr SectionRow kSectionRow{Section::kName, Section::kVersion, Section::save, Section::load};

}  // namespace ferry
