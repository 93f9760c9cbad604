// The description of the API in OpenAPI 3.1. web/openapi.json has what people write: routes, fields, answers, examples.
// What the code knows better is put in from there: which routes there are, who may call them and how they fail, and the
// defaults and bounds that the configuration sets. tests/server/openapi_test.cpp holds the rest to the parsers.
#pragma once

#include <string>

#include "server/http/routes.h"
#include "server/service_config.h"

namespace qwen {

// As JSON. A route of the table that the file does not describe is not in it, nor is one of the file that the table
// does not have.
std::string openapi_document(const RouteTable& routes, const ServiceConfig& config);

// How the table spells a path of the document: "/v1/models/{model}" is "/v1/models/*".
std::string route_pattern(const std::string& documented_path);

}  // namespace qwen
