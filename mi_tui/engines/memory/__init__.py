"""Memory: what a pair takes on a machine, planned before anything is downloaded or started."""
