// As in macOS.
#pragma once

extern "C" {
typedef struct dispatch_queue_s* dispatch_queue_t;
typedef struct dispatch_source_s* dispatch_source_t;
typedef void (*dispatch_function_t)(void*);
typedef const struct dispatch_source_type_s* dispatch_source_type_t;

extern const struct dispatch_source_type_s* const stub_memorypressure_type;
#define DISPATCH_SOURCE_TYPE_MEMORYPRESSURE (stub_memorypressure_type)
enum {
  DISPATCH_MEMORYPRESSURE_NORMAL = 0x01,
  DISPATCH_MEMORYPRESSURE_WARN = 0x02,
  DISPATCH_MEMORYPRESSURE_CRITICAL = 0x04
};

dispatch_queue_t dispatch_queue_create(const char* label, void* attributes);
dispatch_source_t dispatch_source_create(dispatch_source_type_t type, unsigned long handle,
                                         unsigned long mask, dispatch_queue_t queue);
void dispatch_set_context(void* object, void* context);  // dispatch_object_t, a transparent union
void dispatch_source_set_event_handler_f(dispatch_source_t source, dispatch_function_t handler);
unsigned long dispatch_source_get_data(dispatch_source_t source);
void dispatch_resume(void* object);
void dispatch_source_cancel(dispatch_source_t source);
void dispatch_sync_f(dispatch_queue_t queue, void* context, dispatch_function_t work);
void dispatch_release(void* object);
}
