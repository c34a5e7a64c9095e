#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "consumers/views/definition.h"
#include "consumers/views/row_stage.h"

namespace tidemill::views {

// What a derived stream is made by: CREATE STREAM ... AS SELECT, understood.
//
// One row of the SELECT is one record. `rows` is for RowStage: its group term, where there is one, is the key, its
// arguments are the output columns, each as JSON text (NULL: null).
struct Derivation {
  std::string name;
  bool if_not_exists = false;
  std::string source;        // the stream that it reads
  std::string from;          // of WITH (from = ...); empty: not said
  std::uint32_t shards = 0;  // of WITH (shards = ...); 0: not said
  std::string text;          // as given
  bool keyed = false;        // an output column is called _key
  // What a record becomes.
  enum class Shape {
    object,  // an object of the columns
    same,    // SELECT *: as it is
    whole,   // SELECT ... AS data: the one column is the record
  };
  Shape shape = Shape::object;
  std::vector<std::string> columns;  // without _key
  Definition rows;
};

// Refuses what cannot be made record by record, with a sentence that says where and what to write instead. `fields` as
// in SplitOptions. Any thread; milliseconds.
SqlResult<Derivation> read_derivation(std::string_view sql,
                                      const std::map<std::string, FieldType, std::less<>>& fields = {});

}  // namespace tidemill::views
