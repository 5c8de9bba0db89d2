/* The two loops of neighbour sampling (sampling.py), which in NumPy read and write every edge some twenty times.

   Arrays come as buffers that Python has made, of the types that sampling.py names; nothing is allocated here. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>

enum { AHEAD = 8 };  /* so many destinations ahead their edges are fetched: memory is slower than all else */

/* splitmix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014). */
static inline uint64_t next(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* A number below n, n < 2^32 (Lemire, "Fast random integer generation in an interval", 2019; without his last correction, whose
   bias is below n / 2^32). */
static inline int64_t below(uint64_t *state, int64_t n) { return (int64_t)(((next(state) >> 32) * (uint64_t)n) >> 32); }

static void choose(const int64_t *indptr, const int32_t *indices, const int32_t *ids, const int64_t *destinations, Py_ssize_t count,
                   int64_t fanout, uint64_t state, const int64_t *starts, int32_t *sources, int32_t *edges) {
    for (Py_ssize_t i = 0; i < count; i++) {
        if (i + 2 * AHEAD < count) __builtin_prefetch(&indptr[destinations[i + 2 * AHEAD]]);
        if (i + AHEAD < count) {
            int64_t first = indptr[destinations[i + AHEAD]];
            __builtin_prefetch(&indices[first]);
            __builtin_prefetch(&ids[first]);
        }
        int64_t first = indptr[destinations[i]], degree = indptr[destinations[i] + 1] - first, at = starts[i];
        if (degree <= fanout) {
            for (int64_t k = 0; k < degree; k++) {
                sources[at + k] = indices[first + k];
                edges[at + k] = ids[first + k];
            }
            continue;
        }
        /* Floyd's algorithm (Bentley and Floyd, "A sample of brilliance", 1987): places first, in edges. */
        for (int64_t k = 0; k < fanout; k++) {
            int64_t last = degree - fanout + k, drawn = below(&state, last + 1);
            for (int64_t j = 0; j < k; j++)
                if (edges[at + j] == drawn) { drawn = last; break; }
            edges[at + k] = (int32_t)drawn;
        }
        for (int64_t k = 0; k < fanout; k++) {
            int64_t place = first + edges[at + k];
            sources[at + k] = indices[place];
            edges[at + k] = ids[place];
        }
    }
}

static Py_ssize_t add(const int32_t *found, Py_ssize_t count, int32_t *positions, int32_t known, int64_t *new_nodes) {
    Py_ssize_t added = 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        if (i + AHEAD < count) __builtin_prefetch(&positions[found[i + AHEAD]], 1);
        if (positions[found[i]] < 0) {
            positions[found[i]] = known + (int32_t)added;
            new_nodes[added++] = found[i];
        }
    }
    return added;
}

static PyObject *py_choose(PyObject *self, PyObject *args) {
    Py_buffer indptr, indices, ids, destinations, starts, sources, edges;
    long long fanout;
    unsigned long long seed;
    if (!PyArg_ParseTuple(args, "y*y*y*y*LKy*w*w*", &indptr, &indices, &ids, &destinations, &fanout, &seed, &starts, &sources, &edges))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    choose(indptr.buf, indices.buf, ids.buf, destinations.buf, destinations.len / (Py_ssize_t)sizeof(int64_t), fanout, seed, starts.buf,
           sources.buf, edges.buf);
    Py_END_ALLOW_THREADS
    Py_buffer *all[] = {&indptr, &indices, &ids, &destinations, &starts, &sources, &edges};
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) PyBuffer_Release(all[i]);
    Py_RETURN_NONE;
}

static PyObject *py_add(PyObject *self, PyObject *args) {
    Py_buffer found, positions, new_nodes;
    int known;
    if (!PyArg_ParseTuple(args, "y*w*iw*", &found, &positions, &known, &new_nodes)) return NULL;
    Py_ssize_t added;
    Py_BEGIN_ALLOW_THREADS
    added = add(found.buf, found.len / (Py_ssize_t)sizeof(int32_t), positions.buf, known, new_nodes.buf);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&found);
    PyBuffer_Release(&positions);
    PyBuffer_Release(&new_nodes);
    return PyLong_FromSsize_t(added);
}

static PyMethodDef methods[] = {
    {"choose", py_choose, METH_VARARGS, "At most fanout edges of each destination, without replacement."},
    {"add", py_add, METH_VARARGS, "The nodes not seen before, each once, in the order in which they are found; how many there are."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_sampler", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__sampler(void) { return PyModule_Create(&module); }
