/* All of the core's headers, for the floors above. */
#ifndef HALO_CORE_HALO_H
#define HALO_CORE_HALO_H

#include "core/bytes.h"
#include "core/error.h"
#include "core/object.h"
#include "core/pool.h"
#include "core/promise.h"
#include "core/resource.h"
#include "core/runtime.h"
#include "core/task.h"
#include "core/timer.h"

#endif
