// As in macOS.
#pragma once

#define kIOPSACPowerValue "AC Power"
#define kIOPSCurrentCapacityKey "Current Capacity"
#define kIOPSMaxCapacityKey "Max Capacity"
