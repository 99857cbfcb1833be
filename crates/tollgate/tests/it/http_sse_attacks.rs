//! Attacks on the HTTP+SSE front: forged, foreign and ended streams, floods, clients that do not read.
