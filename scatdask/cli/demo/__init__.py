"""``scatdask demo``: a synthetic seismic day, larger than the memory that the job may take."""
