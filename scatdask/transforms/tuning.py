"""How kernels along one axis share out their work: it changes speed and memory, never numbers."""

# FFTs that pocketfft runs side by side in one vector register: batches should be multiples of it.
LANES = 4
# The low-pass as a matrix reaches this many outputs on either side; beyond, an FFT is cheaper.
WIDEST_REACH = 24
# Bytes of the objects that hold one sampled filter, beside its values.
FILTER_OVERHEAD = 4096
