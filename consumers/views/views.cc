#include "consumers/views/views.h"
