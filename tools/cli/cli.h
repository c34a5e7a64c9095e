#pragma once

namespace tidemill::cli {

// The whole program behind main(): parses the command line, runs the subcommand, gives the exit code.
int run(int argc, char** argv);

}  // namespace tidemill::cli
