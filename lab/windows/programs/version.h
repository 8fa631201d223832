// The version the stub claims, in the forms that the resource compiler, the installer and the program want.
#pragma once

#define STUB_VERSION "1.4.9"
#define STUB_VERSION_TEXT L"1.4.9"
#define STUB_VERSION_NUMBERS 1, 4, 9, 0
