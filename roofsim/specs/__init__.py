"""What a user gives: device, architecture, runtime and workload, read and checked."""
