#pragma once

#include "engine/keys/principal.h"  // IWYU pragma: export
