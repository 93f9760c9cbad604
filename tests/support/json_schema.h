// The part of JSON Schema (2020-12) that web/openapi.json uses: whether a value is one that a schema describes, and
// values at and just beyond each of its bounds.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace qwen::test {

class JsonSchemas {
 public:
  // `document` holds what references name and must outlive this.
  explicit JsonSchemas(const nlohmann::json& document) : document_(document) {}

  // Follows references; what stands beside one goes before what it names.
  nlohmann::json resolve(const nlohmann::json& schema) const;

  // Throws for a keyword that this does not know: none is passed over in silence.
  bool allows(const nlohmann::json& schema, const nlohmann::json& value) const;

  // Of every kind; some that `schema` allows and some that it does not.
  std::vector<nlohmann::json> samples(const nlohmann::json& schema) const;

  // One that it allows.
  nlohmann::json example(const nlohmann::json& schema) const;

 private:
  void add_scalars(const nlohmann::json& schema, std::vector<nlohmann::json>& values) const;
  void add_lists(const nlohmann::json& schema, std::vector<nlohmann::json>& values) const;
  void add_objects(const nlohmann::json& schema, std::vector<nlohmann::json>& values) const;
  nlohmann::json least_object(const nlohmann::json& schema) const;

  const nlohmann::json& document_;
};

}  // namespace qwen::test
