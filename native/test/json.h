// A JSON reader for the golden files: objects, arrays, numbers, strings without escapes, true, false, null.
#ifndef ZSLAB_TEST_JSON_H
#define ZSLAB_TEST_JSON_H

#include <cctype>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace test {

struct Json {
  double number = 0;
  std::string text;
  std::vector<Json> items;
  std::map<std::string, Json> fields;

  const Json& operator[](const char* name) const {
    const auto found = fields.find(name);
    if (found == fields.end()) throw std::runtime_error(std::string("the file has no field ") + name);
    return found->second;
  }
  const Json& operator[](size_t i) const { return items.at(i); }
  const Json& operator[](int i) const { return items.at(static_cast<size_t>(i)); }
  int whole() const { return static_cast<int>(number); }

  // base64
  std::vector<uint8_t> bytes() const {
    std::vector<uint8_t> bytes;
    uint32_t bits = 0;
    int count = 0;
    for (char c : text) {
      const char* table = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
      const char* at = c == '=' ? nullptr : std::strchr(table, c);
      if (!at) break;
      bits = bits << 6 | static_cast<uint32_t>(at - table);
      if ((count += 6) >= 8) bytes.push_back(static_cast<uint8_t>(bits >> (count -= 8)));
    }
    return bytes;
  }
  // base64 of little-endian float32
  std::vector<float> floats() const {
    const std::vector<uint8_t> raw = bytes();
    std::vector<float> values(raw.size() / 4);
    if (!values.empty()) std::memcpy(values.data(), raw.data(), values.size() * 4);
    return values;
  }

  // A file of test/golden, or of the folder that ZSLAB_GOLDEN names (scripts/native-tests.mjs sets it).
  static Json golden(const char* name) {
    const char* folder = std::getenv("ZSLAB_GOLDEN");
    return read(std::string(folder ? folder : "test/golden") + "/" + name);
  }
  static Json read(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::runtime_error("cannot read " + path);
    std::stringstream all;
    all << file.rdbuf();
    const std::string whole = all.str();
    const char* p = whole.c_str();
    return parse(p);
  }

 private:
  static void blank(const char*& p) {
    while (*p && std::isspace(static_cast<unsigned char>(*p))) ++p;
  }
  static std::string quoted(const char*& p) {
    const char* end = std::strchr(++p, '"');
    if (!end) throw std::runtime_error("a string has no end");
    std::string text(p, end);
    p = end + 1;
    return text;
  }
  static Json parse(const char*& p) {
    Json value;
    blank(p);
    if (*p == '{' || *p == '[') {
      const bool object = *p++ == '{';
      for (blank(p); *p != (object ? '}' : ']'); blank(p)) {
        if (!*p) throw std::runtime_error("the file ends too early");
        if (*p == ',') {
          ++p;
          continue;
        }
        if (object) {
          const std::string name = quoted(p);
          blank(p);
          ++p;  // :
          value.fields[name] = parse(p);
        } else {
          value.items.push_back(parse(p));
        }
      }
      ++p;
    } else if (*p == '"') {
      value.text = quoted(p);
    } else if (std::isalpha(static_cast<unsigned char>(*p))) {
      while (std::isalpha(static_cast<unsigned char>(*p))) value.text += *p++;
      value.number = value.text == "true";
    } else {
      char* end;
      value.number = std::strtod(p, &end);
      if (end == p) throw std::runtime_error("not JSON");
      p = end;
    }
    return value;
  }
};

}  // namespace test
#endif
