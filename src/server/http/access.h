// Who may call a route where keys are configured: a property of its row in the route table.
#pragma once

namespace qwen {

enum class Access {
  kAdmin,    // scope admin; what a row that says nothing gets
  kUser,     // scope generate; counts for the rates of a key
  kControl,  // scope generate; does not count: who has used up his rate may still end what he began
  kMetrics,  // scope metrics
  kPage,     // files of the page and documentation: open unless configured otherwise
  kOpen,     // always open: health
};

}  // namespace qwen
