"""From kernels to figures: time, memory and energy on a device."""
