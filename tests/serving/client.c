/* A client without Python: sends the bytes of image files to the signature `image_bytes` of a bundle, through TensorFlow's
 * C API, and prints a line for each: ok, the first class, the probabilities.
 *
 *     client BUNDLE FILE...
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorflow/c/c_api.h"

#define SIGNATURE "image_bytes"
enum { OK, CLASSES, PROBABILITIES, OUTPUTS };
static const char *const NAMES[OUTPUTS] = {"ok", "classes", "probabilities"};

static void fail(const char *what, const char *why) {
    fprintf(stderr, "client: %s: %s\n", what, why);
    exit(1);
}

static void check(const TF_Status *status, const char *what) {
    if (TF_GetCode(status) != TF_OK) fail(what, TF_Message(status));
}

/* The names of tensors stand in the bundle's MetaGraphDef, a protocol buffer: a row of fields, each with a number. Those
 * with a length hold bytes, which may be text or fields again. An entry of a map has the key as field 1, the value as 2. */
typedef struct {
    const unsigned char *at, *end;
} Bytes;

static unsigned long long varint(Bytes *from) {
    unsigned long long value = 0;
    for (int shift = 0; from->at < from->end && shift < 64; shift += 7) {
        unsigned char byte = *from->at++;
        value |= (unsigned long long)(byte & 127) << shift;
        if (!(byte & 128)) return value;
    }
    fail("meta graph", "damaged");
    return 0;
}

/* The next field with a length; 0 at the end. */
static int field(Bytes *from, unsigned *number, Bytes *content) {
    while (from->at < from->end) {
        unsigned long long tag = varint(from), size = 0;
        switch (tag & 7) {
            case 0: varint(from); continue;
            case 1: size = 8; break;
            case 2: size = varint(from); break;
            case 5: size = 4; break;
            default: fail("meta graph", "damaged");
        }
        if (size > (unsigned long long)(from->end - from->at)) fail("meta graph", "damaged");
        content->at = from->at;
        content->end = from->at += size;
        *number = (unsigned)(tag >> 3);
        if ((tag & 7) == 2) return 1;
    }
    return 0;
}

static int is(Bytes bytes, const char *text) {
    size_t size = (size_t)(bytes.end - bytes.at);
    return size == strlen(text) && !memcmp(bytes.at, text, size);
}

/* The content of field `number`; of a map the value of `key`. */
static Bytes get(Bytes from, unsigned number, const char *key) {
    unsigned found;
    Bytes content;
    while (field(&from, &found, &content)) {
        if (found != number) continue;
        if (!key) return content;
        Bytes entry = content, part, name = {0}, value = {0};
        while (field(&entry, &found, &part)) {
            if (found == 1) name = part;
            if (found == 2) value = part;
        }
        if (name.at && is(name, key)) return value;
    }
    fail(key ? key : "name", "not in the signature");
    return from;
}

/* The tensor of a TensorInfo, whose field 1 is "operation:index". */
static TF_Output tensor(TF_Graph *graph, Bytes info) {
    Bytes bytes = get(info, 1, NULL);
    char name[256];
    TF_Output output = {0};
    snprintf(name, sizeof name, "%.*s", (int)(bytes.end - bytes.at), (const char *)bytes.at);
    char *colon = strrchr(name, ':');
    if (colon) {
        *colon = 0;
        output.index = atoi(colon + 1);
    }
    output.oper = TF_GraphOperationByName(graph, name);
    if (!output.oper) fail(name, "no such operation");
    return output;
}

static void read_file(const char *path, TF_TString *into) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END)) fail(path, "cannot be opened");
    size_t size = (size_t)ftell(file);
    char *content = malloc(size + 1);
    rewind(file);
    if (!content || fread(content, 1, size, file) != size) fail(path, "cannot be read");
    fclose(file);
    TF_StringInit(into);
    TF_StringCopy(into, content, size);
    free(content);
}

static void free_strings(void *data, size_t size, void *unused) {
    (void)unused;
    for (size_t i = 0; i < size / sizeof(TF_TString); i++) TF_StringDealloc((TF_TString *)data + i);
    free(data);
}

int main(int count, char **words) {
    if (count < 3) fail("usage", "client BUNDLE FILE...");
    const char *tag = "serve";
    TF_Status *status = TF_NewStatus();
    TF_Graph *graph = TF_NewGraph();
    TF_Buffer *meta = TF_NewBuffer();
    TF_SessionOptions *options = TF_NewSessionOptions();
    TF_Session *session = TF_LoadSessionFromSavedModel(options, NULL, words[1], &tag, 1, graph, meta, status);
    check(status, words[1]);

    Bytes whole = {meta->data, (const unsigned char *)meta->data + meta->length};
    Bytes signature = get(whole, 5, SIGNATURE); /* MetaGraphDef.signature_def */
    TF_Output input = tensor(graph, get(signature, 1, "image_bytes")), outputs[OUTPUTS];
    for (int i = 0; i < OUTPUTS; i++) outputs[i] = tensor(graph, get(signature, 2, NAMES[i]));

    int64_t images = count - 2;
    size_t size = (size_t)images * sizeof(TF_TString);
    TF_TString *strings = malloc(size);
    for (int64_t i = 0; i < images; i++) read_file(words[i + 2], strings + i);
    TF_Tensor *sent = TF_NewTensor(TF_STRING, &images, 1, strings, size, free_strings, NULL), *got[OUTPUTS] = {0};
    TF_SessionRun(session, NULL, &input, &sent, 1, outputs, got, OUTPUTS, NULL, 0, NULL, status);
    check(status, SIGNATURE);

    const unsigned char *ok = TF_TensorData(got[OK]);
    const TF_TString *classes = TF_TensorData(got[CLASSES]);
    const float *probabilities = TF_TensorData(got[PROBABILITIES]);
    int64_t named = TF_Dim(got[CLASSES], 1), all = TF_Dim(got[PROBABILITIES], 1);
    for (int64_t i = 0; i < images; i++) {
        const TF_TString *first = classes + i * named;
        printf("%d %.*s", ok[i], (int)TF_StringGetSize(first), TF_StringGetDataPointer(first));
        for (int64_t k = 0; k < all; k++) printf(" %.9g", probabilities[i * all + k]);
        printf("\n");
    }

    for (int i = 0; i < OUTPUTS; i++) TF_DeleteTensor(got[i]);
    TF_DeleteTensor(sent);
    TF_CloseSession(session, status);
    TF_DeleteSession(session, status);
    TF_DeleteSessionOptions(options);
    TF_DeleteBuffer(meta);
    TF_DeleteGraph(graph);
    TF_DeleteStatus(status);
    return 0;
}
