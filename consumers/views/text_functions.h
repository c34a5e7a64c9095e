#pragma once

struct sqlite3;

namespace tidemill::views {

// Puts functions of our own in the place of those of SQLite that take the time of one argument's length times the
// other's: instr, replace, like, glob, trim, ltrim, rtrim, json_patch. SQLite does not look at its clock inside of a
// function. Ours give the same results in time that is linear, or give up after a number of steps with an error that is
// the same each time ("too long"). SQLite's code, 0 for fine.
int register_text_functions(sqlite3* db);

}  // namespace tidemill::views
